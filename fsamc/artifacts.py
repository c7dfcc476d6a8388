"""What a fold computes once and keeps: features, pseudo-defects, banks, nearest rows.

Here is what each one is and what it depends on; how it is computed is in `fsamc.building`, imported only where it
happens, so that whoever merely asks for artifacts loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from fsamc.config import Compute, Features, Foreground, Pseudo, Reference
from fsamc.dataset import Category
from fsamc.store import Artifact, Store, digest
from fsamc.textures import Textures
from fsamc.weights import identity


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
        from fsamc import building

        building.build_features(self, into)


@dataclass(frozen=True, kw_only=True)
class PseudoSet:
    """Patch features of pseudo-defects (paper 3.5), class-major.

    `features` float16 [n, P, D], `labels` int64 [n], `sources` int64 [n]: the good image each was made from.
    The settings of `residual` are not part of it: they say what is done with the features.
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
        settings = self.pseudo.model_dump(mode="json", exclude={"residual", "foreground"})
        made_of = (self.category.name, good, drawn, settings, self.foreground)
        return digest(self.kind, 2, *made_of, *_feature_parts(self.features, self.compute))

    @property
    def about(self) -> str:
        """The category and how many pseudo-classes."""
        return f"{self.category.name}, {len(self.textures.classes)} pseudo-classes"

    def needs(self) -> Sequence[Artifact]:
        """Nothing: it starts from files."""
        return ()

    def build(self, _store: Store, into: Path) -> None:
        """Paste, extract, keep; the pictures themselves are not kept."""
        from fsamc import building

        building.build_pseudo_defects(self, into)

    @property
    def foreground(self) -> Foreground:
        """How the object is found in this category: a method, or `auto`."""
        chosen = self.pseudo.foreground
        return chosen.get(self.category.name, "auto") if isinstance(chosen, dict) else chosen


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Memory bank of one (category, seed): `rows` float16 [K, D], `indices` int64 [K] into the good patches."""

    kind: ClassVar[str] = "bank"
    good: FeatureSet
    reference: Reference
    seed: int

    @cached_property
    def key(self) -> str:
        """Hash of the good features, the reference settings and the seed."""
        settings = self.reference.model_dump(mode="json", exclude={"scale"})  # that is done with it, not to it
        return digest(self.kind, 1, self.good.key, settings, self.seed)

    @property
    def about(self) -> str:
        """The category and the seed."""
        return f"{self.good.category.name}, seed {self.seed}"

    def needs(self) -> Sequence[Artifact]:
        """The good features."""
        return (self.good,)

    def build(self, store: Store, into: Path) -> None:
        """Choose the coreset and keep its rows."""
        from fsamc import building

        building.build_bank(self, store, into)


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """Nearest bank row of every patch (paper 3.4, eq. 2): `indices` int32 [n, P], `distances` float32 [n, P].

    The residual maps follow from it and from the features, so they need not be kept: a five-hundredth of their size.
    """

    kind: ClassVar[str] = "nearest"
    bank: Bank
    queries: FeatureSet | PseudoSet

    @cached_property
    def key(self) -> str:
        """Hash of the bank and of the features."""
        return digest(self.kind, 1, self.bank.key, self.queries.key)

    @property
    def about(self) -> str:
        """The bank's category and seed, and what is compared with it."""
        return f"{self.bank.about}, {self.queries.kind}"

    def needs(self) -> Sequence[Artifact]:
        """The bank and the features."""
        return (self.bank, self.queries)

    def build(self, store: Store, into: Path) -> None:
        """Search image by image, so that the features are never all in memory."""
        from fsamc import building

        building.build_nearest(self, store, into)


def _feature_parts(features: Features, compute: Compute) -> tuple[Any, ...]:
    settings = features.model_dump(mode="json", exclude={"backbone", "weights"})
    return identity(features), settings, compute.model_dump(mode="json")
