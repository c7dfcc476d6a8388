"""Inputs of one fold and the address of its result. Loads no torch, so that scheduling folds is cheap."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.good_scores import GoodScores, held_out_rows
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.normal_statistics import NormalStatistics
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.artifacts.source_rows import SourceRows
from fsamc.artifacts.turned_good import TurnedGood
from fsamc.artifacts.view_vectors import ViewVectors
from fsamc.data.category import Category, PathsByClass, leave_one_out
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.features.weights import identity
from fsamc.fold.config import FoldConfig
from fsamc.fold.stopwatch import Stopwatch
from fsamc.pseudo.classes import pseudo_classes
from fsamc.representation.views import IDENTITY, VIEWS, View
from fsamc.store.digests import digest
from fsamc.store.store import Store


class FoldInputs:
    """What one fold reads: each property is computed at its first use, and once.

    Args:
        category: images in MVTec layout.
        config: every knob.
        seed: of the bank's coreset, the head's weights and the pretraining rounds.
        draw: which images are the support.
        textures: what pseudo-defects are made of; needed if the configuration pretrains or is measured on them.

    Attributes:
        category: with `good` among its classes where the configuration says so.

    Raises:
        BadInput: `good` is to be a class and has no images.
    """

    def __init__(
        self, category: Category, config: FoldConfig, *, seed: int, draw: int = 0, textures: Textures | None = None
    ) -> None:
        self.category = category.with_classes(good=config.good)
        self.config, self.seed, self.draw, self.textures = config, seed, draw, textures

    @cached_property
    def support(self) -> PathsByClass:
        """The support by class. Raises BadInput if the category is too small for its shots."""
        files = self.config.support.files
        if problem := self.category.problem(
            self.config.shots, self.draw, files=files, scored_by=self.config.scoring.by
        ):
            raise BadInput(problem)
        return self.category.support(self.config.shots, self.draw, files=files)

    @cached_property
    def queries(self) -> PathsByClass:
        """The queries by class; scored on the support, the images of it that can be left out in turn."""
        support = self.support  # first, since it says what is too small
        if self.config.scoring.by == "support":
            return self.category.apart(support)
        return self.category.queries(self.config.shots, self.draw, files=self.config.support.files)

    @property
    def sees_images(self) -> bool:
        """Whether the head sees the images themselves, and neither vectors nor maps."""
        return self.config.head.sees == "images"

    @property
    def views(self) -> tuple[View, ...]:
        """The views of support or queries, or those that may be chosen, the identity first."""
        support, queries = self.config.views.with_auto("all")
        return tuple(dict.fromkeys((IDENTITY, *VIEWS[support], *VIEWS[queries])))

    @cached_property
    def bank(self) -> Bank:
        """What the detector has learnt from all good images."""
        seed = self.seed if self.config.reference.drawn else 0
        good = self._features((path,) for path in self.category.train)
        return Bank(good=good, reference=self.config.reference, seed=seed)

    @cached_property
    def defects(self) -> FeatureSet:
        """Every defect image, in the category's order."""
        return self._features((path,) for path in self.category.defects)

    @cached_property
    def statistics(self) -> NormalStatistics | None:
        """Mean and covariance of the normal patches, where the representation goes by them."""
        return NormalStatistics(good=self.bank.good) if takes_statistics(self.config) else None

    @cached_property
    def turned_good(self) -> TurnedGood | None:
        """Scores of turned good images, where views are chosen by them."""
        if not self.config.views.auto or self.config.head.sees != "vectors":
            return None
        return TurnedGood(bank=self.bank, most=self.config.views.good)

    @cached_property
    def averages(self) -> FeatureSet | None:
        """The images of each class averaged pixel by pixel, where `support.mean: image`.

        Those of every support that a head is trained on; None where there is one image of each class.
        """
        if self.config.support.mean != "image":
            return None
        supports = [self.support] if self.config.scoring.by == "queries" else []
        if self.config.scoring.leaves_out:
            supports += [others for _, others in leave_one_out(self.support)]
        pictures = [paths for one in supports for paths in one.values() if len(paths) > 1]
        return self._features(pictures) if pictures else None

    @cached_property
    def pseudo(self) -> PseudoSet | None:
        """The pseudo-defects, where the head is pretrained or measured on them.

        Raises BadInput if there are no textures, or fewer classes than a round draws.
        """
        if not takes_pseudo_defects(self.config):
            return None
        if self.textures is None:
            raise BadInput(
                f"{who_takes_pseudo_defects(self.config)}, and so textures: give --textures DIR, or switch it off"
            )
        check_textures(self.textures, self.config)
        return pseudo_set(self.category, self.config, self.textures)

    @cached_property
    def test_good(self) -> FeatureSet | None:
        """The images of test/good, where there is any."""
        return self._features((path,) for path in self.category.good) if self.category.good else None

    @cached_property
    def good_scores(self) -> GoodScores:
        """Scores that detection's threshold is chosen on. Raises BadInput if no good image can be held out."""
        return GoodScores(bank=self.bank, held_out=held_out_rows(self.category, self.config.detection.held_out))

    def nearest(self, queries: FeatureSet | PseudoSet) -> NearestRows:
        """Return what the bank says of these pictures."""
        return NearestRows(bank=self.bank, queries=queries)

    def pseudo_rows(self) -> NearestRows | SourceRows:
        """Return what is normal in pseudo-defects, as `pseudo.residual` says: rows of the bank, or their good images'.

        What they are pretrained on. What they are measured on is the bank's, as for any image to be named.
        """
        assert self.pseudo is not None
        if self.config.pseudo.residual == "bank":
            return self.nearest(self.pseudo)
        return SourceRows(good=self.bank.good, queries=self.pseudo)

    def vectors(self, rows: NearestRows | SourceRows) -> list[ViewVectors]:
        """Return the vectors of these pictures: of images in all views, of pseudo-defects as they are.

        The region of pseudo-defects is their anomaly also where the ground truth is that of images.
        """
        views, representation = self.views, self.config.representation
        if not isinstance(rows.queries, FeatureSet):
            views, representation = (IDENTITY,), representation.model_copy(update={"region": "anomaly"})
        return [ViewVectors(rows=rows, view=view, representation=representation) for view in views]

    @cached_property
    def artifacts(self) -> list[Artifact]:
        """All artifacts that the fold reads, each once and after what it needs. Raises BadInput as they do."""
        read: dict[str, Artifact] = {}
        for artifact in self._last():
            _add_after_needs(artifact, read)
        return list(read.values())

    def _last(self) -> Iterator[Artifact]:
        """Yield the artifacts that no other needs."""
        config = self.config
        if not self.sees_images:
            for rows in self._represented():
                yield from self.vectors(rows) if config.head.sees == "vectors" else [rows]
            if self.statistics:
                yield self.statistics
            if self.turned_good:
                yield self.turned_good
        if config.detection.enabled:
            yield self.good_scores
            yield self.nearest(self.defects)
            if self.test_good:
                yield self.nearest(self.test_good)

    def _represented(self) -> Iterator[NearestRows | SourceRows]:
        """Yield what is normal in each set of pictures that the head sees."""
        yield self.nearest(self.defects)
        if self.averages:
            yield self.nearest(self.averages)
        if pretrains(self.config):
            yield self.pseudo_rows()
        if self.pseudo and "pseudo" in self.config.scoring.measure:
            yield self.nearest(self.pseudo)

    @cached_property
    def key(self) -> str:
        """Address of the fold's result: a hash of everything that it depends on."""
        config = self.config
        left_out = {"features": {"backbone", "weights"}, "pseudo": {"foreground"}}
        if self.bank.limit is None:  # so that older results are found, here and below
            left_out["reference"] = {"candidates"}
        if not config.scoring.pool.rounds:
            left_out["scoring"] = {"pool"}
        settings = config.model_dump(mode="json", exclude=left_out)
        keys = [artifact.key for artifact in self.artifacts]
        return digest(
            "fold", 3, self.category.fingerprint, identity(config.features), settings, keys, self.seed, self.draw
        )

    def build_missing(self, store: Store, watch: Stopwatch, *, tell: Callable[[str], object] = lambda _: None) -> None:
        """Build the artifacts that the store lacks. Only the looking counts as this fold's own time.

        `tell` hears of each what it is before it is built.
        """
        with watch.stage("inputs"):
            missing = [artifact for artifact in self.artifacts if not store.has(artifact)]
        for number, artifact in enumerate(missing, 1):
            tell(f"{artifact.kind} of {artifact.about} ({number} of {len(missing)})")
            store.get(artifact)

    def _features(self, pictures: Iterable[tuple[str, ...]]) -> FeatureSet:
        return FeatureSet(
            category=self.category,
            pictures=tuple(pictures),
            features=self.config.features,
            compute=self.config.compute,
        )


def takes_statistics(config: FoldConfig) -> bool:
    """Whether this configuration's representation goes by the mean and covariance of normal patches."""
    settings, sees = config.representation, config.head.sees
    profiles = settings.extent > 0 and sees == "vectors"
    return sees != "images" and (settings.scale == "covariance" or "centred" in settings.parts or profiles)


def pretrains(config: FoldConfig) -> bool:
    """Whether this configuration pretrains on pseudo-defects."""
    return config.pretrain.enabled and config.head.trained


def takes_pseudo_defects(config: FoldConfig) -> bool:
    """Whether this configuration needs pseudo-defects, to pretrain on or to be measured on, and so textures."""
    return pretrains(config) or "pseudo" in config.scoring.measure


def who_takes_pseudo_defects(config: FoldConfig) -> str:
    """Return what needs pseudo-defects, for people."""
    return f"{'pretrain.enabled' if pretrains(config) else 'objective pseudo'} needs pseudo-defects"


def check_textures(textures: Textures, config: FoldConfig) -> None:
    """Raise BadInput if a texture class has too few images, or there are fewer pseudo-classes than are told apart.

    That is as many as a round of pretraining draws; two, where there is none.
    """
    textures.chosen(config.pseudo.textures_per_class)
    n_classes = len(pseudo_classes(textures.classes, config.pseudo))
    if not pretrains(config):
        if n_classes < 2:
            raise BadInput(
                f"objective pseudo tells pseudo-classes apart, but {textures.folder} makes {n_classes}; add one"
            )
        return
    if config.pretrain.pseudo_classes > n_classes:
        polygons = f", with polygons {n_classes} pseudo-classes" if config.pseudo.mask == "polygon" else ""
        raise BadInput(
            f"pretrain.pseudo_classes is {config.pretrain.pseudo_classes}, but {textures.folder} holds "
            f"{len(textures.classes)} texture classes{polygons}; lower it or add textures"
        )


def pseudo_set(category: Category, config: FoldConfig, textures: Textures) -> PseudoSet:
    """Return the pseudo-defects of a category as a configuration asks for them, whether or not it pretrains on them."""
    return PseudoSet(
        category=category, textures=textures, pseudo=config.pseudo, features=config.features, compute=config.compute
    )


def _add_after_needs(artifact: Artifact, ordered: dict[str, Artifact]) -> None:
    for need in artifact.needs():
        _add_after_needs(need, ordered)
    ordered.setdefault(artifact.key, artifact)
