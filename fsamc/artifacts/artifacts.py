"""What a fold computes once and keeps: features, pseudo-defects, banks, nearest rows, scores of good images.

Here is what each one is and what it depends on; how it is computed is in `fsamc.artifacts.building`, imported only
where it happens, so that whoever merely asks for artifacts loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from fsamc.config.compute import Compute
from fsamc.config.features import Features
from fsamc.config.pseudo import Foreground, Pseudo
from fsamc.data.category import Category
from fsamc.data.textures import Textures
from fsamc.detectors import DETECTORS
from fsamc.detectors.detector_kinds import Reference
from fsamc.features.weights import identity
from fsamc.pseudo.classes import PseudoClass, pseudo_classes
from fsamc.store.store import Artifact, Store, digest


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Patch features of a list of pictures: `features` float16 [n, P, D].

    Each entry of `pictures` is the images (paths in the category) averaged pixel by pixel; mostly one.
    """

    kind: ClassVar[str] = "features"
    category: Category
    pictures: tuple[tuple[str, ...], ...]
    features: Features
    compute: Compute

    @cached_property
    def key(self) -> str:
        """Hash of the images' contents, the feature settings and the backbone's content."""
        contents = [[self.category.digests[path] for path in paths] for paths in self.pictures]
        return digest(self.kind, 1, contents, *_feature_parts(self.features, self.compute))

    @property
    def about(self) -> str:
        """The category and how many pictures."""
        return f"{self.category.name}, {len(self.pictures)} images"

    def needs(self) -> Sequence[Artifact]:
        """Nothing: it starts from files."""
        return ()

    def build(self, _store: Store, into: Path) -> None:
        """Stream the pictures through the backbone."""
        from fsamc.artifacts import building

        building.build_features(self, into)


_POISSON = ("rate", "blur", "threshold")
_OTHER_MASKS = {  # settings that masks of a kind do not depend on
    "poisson": ("perlin", "polygon"),
    "perlin": ("polygon", *_POISSON),
    "polygon": ("perlin", "area", *_POISSON),
}


@dataclass(frozen=True, kw_only=True)
class PseudoSet:
    """Patch features of pseudo-defects (paper 3.5), class-major.

    `features` float16 [n, P, D], `labels` int64 [n], `sources` int64 [n]: the good image each was made from.
    The settings of `residual` are not part of it, since they say what is done with the features; nor those of masks
    of another kind.
    """

    kind: ClassVar[str] = "pseudo"
    category: Category
    textures: Textures
    pseudo: Pseudo
    features: Features
    compute: Compute

    @cached_property
    def key(self) -> str:
        """Hash of good images, textures, generation and feature settings, and the name that seeds the generation."""
        good = [self.category.digests[path] for path in self.category.train]
        chosen = self.textures.chosen(self.pseudo.textures_per_class)
        drawn = {name: [self.textures.digests[path] for path in paths] for name, paths in chosen.items()}
        settings = self.pseudo.model_dump(
            mode="json", exclude={"residual", "foreground", *_OTHER_MASKS[self.pseudo.mask]}
        )
        made_of = (self.category.name, good, drawn, settings, self.foreground)
        return digest(self.kind, 2, *made_of, *_feature_parts(self.features, self.compute))

    @property
    def about(self) -> str:
        """The category and how many pseudo-classes."""
        return f"{self.category.name}, {len(self.classes)} pseudo-classes"

    def needs(self) -> Sequence[Artifact]:
        """Nothing: it starts from files."""
        return ()

    def build(self, _store: Store, into: Path) -> None:
        """Paste, extract, keep; the pictures themselves are not kept."""
        from fsamc.artifacts import building

        building.build_pseudo_defects(self, into)

    @property
    def classes(self) -> tuple[PseudoClass, ...]:
        """The pseudo-classes; a label is a position among them."""
        return pseudo_classes(self.textures.classes, self.pseudo)

    @property
    def foreground(self) -> Foreground:
        """How the object is found in this category: a method, or `auto`."""
        chosen = self.pseudo.foreground
        return chosen.get(self.category.name, "auto") if isinstance(chosen, dict) else chosen


@dataclass(frozen=True, kw_only=True)
class Bank:
    """What the detector of one (category, seed) has learnt; of PatchCore the memory bank. Its class says which arrays.

    The seed is 0 where nothing is drawn: then the bank is one for all seeds.
    """

    kind: ClassVar[str] = "bank"
    good: FeatureSet
    reference: Reference
    seed: int

    @cached_property
    def key(self) -> str:
        """Hash of the good features, the detector, the settings it learns by, and the seed."""
        learns = self.reference.model_dump(mode="json", include={"kind", *DETECTORS[self.reference.kind].learns})
        return digest(self.kind, 1, self.good.key, learns, self.seed)

    @property
    def about(self) -> str:
        """The category and the seed, and the detector if it is another than PatchCore."""
        kind = self.reference.kind
        return f"{self.good.category.name}, seed {self.seed}{'' if kind == 'patchcore' else f', {kind}'}"

    @property
    def asks(self) -> dict[str, Any]:
        """The settings that its answers depend on, and not what it keeps."""
        return self.reference.model_dump(mode="json", include={*DETECTORS[self.reference.kind].asks})

    def needs(self) -> Sequence[Artifact]:
        """The good features."""
        return (self.good,)

    def build(self, store: Store, into: Path) -> None:
        """Learn, and keep what the detector keeps."""
        from fsamc.artifacts import building

        building.build_bank(self, store, into)


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """What would be normal at every patch (paper 3.4, eq. 2): `indices` int32 [n, P], `distances` float32 [n, P].

    The residual maps follow from it and from the features, so they need not be kept: a five-hundredth of their size.
    """

    kind: ClassVar[str] = "nearest"
    bank: Bank
    queries: FeatureSet | PseudoSet

    @cached_property
    def key(self) -> str:
        """Hash of the bank, of what its answers depend on and of the features."""
        return digest(self.kind, 2, self.bank.key, self.bank.asks, self.queries.key)

    @property
    def about(self) -> str:
        """The bank's category and seed, and what is compared with it."""
        return f"{self.bank.about}, {self.queries.kind}"

    def needs(self) -> Sequence[Artifact]:
        """The bank and the features."""
        return (self.bank, self.queries)

    def build(self, store: Store, into: Path) -> None:
        """Search image by image, so that the features are never all in memory."""
        from fsamc.artifacts import building

        building.build_nearest(self, store, into)


@dataclass(frozen=True, kw_only=True)
class GoodScores:
    """Anomaly scores of good images that are held out: `scores` float32 [H].

    A detector like the bank's judges them, that has learnt from the other good images alone.

    Attributes:
        bank: the good features, the detector and the seed; the bank itself is not used.
        held_out: which rows of the good features are judged.
    """

    kind: ClassVar[str] = "goodscores"
    bank: Bank
    held_out: tuple[int, ...]

    @cached_property
    def key(self) -> str:
        """Hash of what the bank depends on, of what its answers depend on and of the rows."""
        return digest(self.kind, 1, self.bank.key, self.bank.asks, self.held_out)

    @property
    def about(self) -> str:
        """The bank's category and seed, and how many images."""
        return f"{self.bank.about}, {len(self.held_out)} good images"

    def needs(self) -> Sequence[Artifact]:
        """The good features."""
        return (self.bank.good,)

    def build(self, store: Store, into: Path) -> None:
        """Learn from the others and judge."""
        from fsamc.artifacts import building

        building.build_good_scores(self, store, into)


def _feature_parts(features: Features, compute: Compute) -> tuple[Any, ...]:
    settings = features.model_dump(mode="json", exclude={"backbone", "weights"})
    return identity(features), settings, compute.model_dump(mode="json")
