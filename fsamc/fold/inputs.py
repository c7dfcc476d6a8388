"""What one fold reads, and the address of its result. Loads no torch: whoever only schedules folds may ask."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.good_scores import GoodScores
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.data.category import Category, PathsByClass, leave_one_out
from fsamc.data.textures import Textures
from fsamc.detectors import DETECTORS
from fsamc.errors import BadInput
from fsamc.features.weights import identity
from fsamc.fold.config import FoldConfig
from fsamc.heads import HEADS
from fsamc.pseudo.classes import pseudo_classes
from fsamc.store.digests import digest


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The artifacts that one fold reads."""

    good: FeatureSet
    test: NearestRows  # every defect image
    means: NearestRows | None  # per class the support averaged pixel by pixel, where `support.mean: image`
    pseudo: PseudoSet | None  # where the head is pretrained, or measured on them
    pseudo_nearest: NearestRows | None  # where `pseudo.residual: bank`, or the head is measured on them

    def artifacts(self) -> list[Artifact]:
        """All of them, each after what it needs."""
        return _in_order(self.test, self.means, self.pseudo, self.pseudo_nearest)


@dataclass(frozen=True, kw_only=True)
class DetectionInputs:
    """The artifacts that say which images are called defective, where `detection.enabled`."""

    held_out: GoodScores  # what the threshold is chosen on
    test: NearestRows  # every defect image
    good: NearestRows | None  # test/good, where there is any

    def artifacts(self) -> list[Artifact]:
        """All of them, each after what it needs."""
        return _in_order(self.held_out, self.test, self.good)


def fold_inputs(
    category: Category, config: FoldConfig, *, seed: int, draw: int = 0, textures: Textures | None = None
) -> Inputs | None:
    """What `run_fold` will read, so that it can be built elsewhere beforehand; None where a head sees images alone.

    Raises:
        BadInput: pseudo-defects are needed and no textures are given, or fewer classes than asked for.
    """
    if HEADS[config.head.kind].sees == "images":
        return None
    category = category.with_classes(good=config.good)
    bank = _bank(category, config, seed)
    test = NearestRows(bank=bank, queries=_features(category, config, ((path,) for path in category.defects)))
    averaged = _averaged(category, config, draw)
    means = NearestRows(bank=bank, queries=_features(category, config, averaged)) if averaged else None
    pseudo = _checked_pseudo_set(category, config, textures) if takes_pseudo_defects(config) else None
    from_bank = config.pseudo.residual == "bank" or "pseudo" in config.scoring.measure
    pseudo_nearest = NearestRows(bank=bank, queries=pseudo) if pseudo and from_bank else None
    return Inputs(good=bank.good, test=test, means=means, pseudo=pseudo, pseudo_nearest=pseudo_nearest)


def detection_inputs(category: Category, config: FoldConfig, *, seed: int) -> DetectionInputs | None:
    """What the detection in `run_fold` will read; None where it is off. The head has no part in it.

    Raises:
        BadInput: no good image can be held out.
    """
    if not config.detection.enabled:
        return None
    bank = _bank(category, config, seed)
    defects, good = (((path,) for path in paths) for paths in (category.defects, category.good))
    return DetectionInputs(
        held_out=GoodScores(bank=bank, held_out=held_out_rows(category, config.detection.held_out)),
        test=NearestRows(bank=bank, queries=_features(category, config, defects)),
        good=NearestRows(bank=bank, queries=_features(category, config, good)) if category.good else None,
    )


def held_out_rows(category: Category, share: float) -> tuple[int, ...]:
    """Which of the images in train/good the threshold is chosen on: those of evenly spaced groups, at least one.

    Raises:
        BadInput: there are fewer than two groups.
    """
    groups = list(dict.fromkeys(category.group(path) for path in category.train))
    if len(groups) < 2:
        raise BadInput(
            f"{category.folder / 'train' / 'good'}: {len(groups)} group of images; detection needs 2, one to hold out: "
            "add good images or set detection.enabled=false"
        )
    count = min(max(round(share * len(groups)), 1), len(groups) - 1)
    chosen = {groups[place] for place in (2 * np.arange(count) + 1) * len(groups) // (2 * count)}
    return tuple(row for row, path in enumerate(category.train) if category.group(path) in chosen)


def fold_artifacts(
    category: Category, config: FoldConfig, *, seed: int, draw: int = 0, textures: Textures | None = None
) -> list[Artifact]:
    """All artifacts of `fold_inputs` and `detection_inputs`, each after what it needs."""
    inputs = fold_inputs(category, config, seed=seed, draw=draw, textures=textures)
    parts = (inputs, detection_inputs(category, config, seed=seed))
    found = {artifact.key: artifact for part in parts if part is not None for artifact in part.artifacts()}
    return list(found.values())


def pretrains(config: FoldConfig) -> bool:
    """Whether this configuration pretrains on pseudo-defects."""
    return config.pretrain.enabled and HEADS[config.head.kind].trained


def takes_pseudo_defects(config: FoldConfig) -> bool:
    """Whether this configuration needs pseudo-defects, to pretrain on or to be measured on, and so textures."""
    return pretrains(config) or "pseudo" in config.scoring.measure


def fold_key(
    category: Category, config: FoldConfig, *, seed: int, draw: int = 0, textures: Textures | None = None
) -> str:
    """Address of a fold's result: a hash of everything that it depends on."""
    category = category.with_classes(good=config.good)
    settings = config.model_dump(mode="json", exclude={"features": {"backbone", "weights"}, "pseudo": {"foreground"}})
    parts = [artifact.key for artifact in fold_artifacts(category, config, seed=seed, draw=draw, textures=textures)]
    return digest(
        "fold",
        2,
        category.fingerprint,
        identity(config.features),
        settings,
        parts,
        seed,
        draw,
    )


def who_takes_pseudo_defects(config: FoldConfig) -> str:
    """What needs pseudo-defects, for people."""
    return f"{'pretrain.enabled' if pretrains(config) else 'objective pseudo'} needs pseudo-defects"


def _averaged(category: Category, config: FoldConfig, draw: int) -> list[tuple[str, ...]]:
    """The images that are averaged pixel by pixel: those of each class in every support that a head is trained on."""
    if config.support.mean != "image":
        return []
    support = category.support(config.shots, draw, files=config.support.files)
    supports: list[PathsByClass] = [support] if config.scoring.by == "queries" else []
    if config.scoring.leaves_out:
        supports += [others for _, others in leave_one_out(support)]
    return [paths for one in supports for paths in one.values() if len(paths) > 1]


def _features(category: Category, config: FoldConfig, pictures: Iterable[tuple[str, ...]]) -> FeatureSet:
    return FeatureSet(category=category, pictures=tuple(pictures), features=config.features, compute=config.compute)


def _bank(category: Category, config: FoldConfig, seed: int) -> Bank:
    good = _features(category, config, ((path,) for path in category.train))
    drawn = DETECTORS[config.reference.kind].drawn
    return Bank(good=good, reference=config.reference, seed=seed if drawn else 0)


def _checked_pseudo_set(category: Category, config: FoldConfig, textures: Textures | None) -> PseudoSet:
    if textures is None:
        raise BadInput(f"{who_takes_pseudo_defects(config)}, and so textures: give --textures DIR, or switch it off")
    check_textures(textures, config)
    return pseudo_set(category, config, textures)


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
    """The pseudo-defects of a category as a configuration asks for them, whether or not it pretrains on them."""
    return PseudoSet(
        category=category, textures=textures, pseudo=config.pseudo, features=config.features, compute=config.compute
    )


def _in_order(*ends: Artifact | None) -> list[Artifact]:
    ordered: dict[str, Artifact] = {}
    for end in ends:
        if end is not None:
            _after_needs(end, ordered)
    return list(ordered.values())


def _after_needs(artifact: Artifact, ordered: dict[str, Artifact]) -> None:
    for need in artifact.needs():
        _after_needs(need, ordered)
    ordered.setdefault(artifact.key, artifact)
