"""Patch features of a category's own images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from fsamc.artifacts.base import Artifact, Computed
from fsamc.artifacts.patch_features import PatchFeatures
from fsamc.config.compute import Compute
from fsamc.data.category import Category
from fsamc.features.squares import read_squares
from fsamc.store.digests import digest
from fsamc.store.store import Store


@dataclass(frozen=True, kw_only=True)
class FeatureSet(PatchFeatures):
    """Patch features of a list of pictures: `features` float16 [n, P, D].

    Each entry of `pictures` is the images (paths in the category) averaged pixel by pixel; mostly one.
    """

    kind: ClassVar[str] = "features"
    pictures: tuple[tuple[str, ...], ...]

    @cached_property
    def key(self) -> str:
        """Hash of the images' contents, the feature settings and the backbone's content."""
        contents = [[self.category.digests[path] for path in paths] for paths in self.pictures]
        return digest(self.kind, 1, contents, *self._network)

    @property
    def about(self) -> str:
        """The category and how many pictures."""
        return f"{self.category.name}, {self.n_pictures} images"

    @property
    def n_pictures(self) -> int:
        """One an entry."""
        return len(self.pictures)

    def build(self, _store: Store, into: Path) -> None:
        """Stream the pictures through the backbone."""
        self._extract(map(self.square, range(self.n_pictures)), into)

    def square(self, row: int) -> np.ndarray:
        """Read a picture as the network sees it, uint8 [S, S, 3]."""
        paths = self.pictures[row]
        squares = read_squares(self.category, paths, self.features)
        return squares[0] if len(paths) == 1 else squares.mean(axis=0).round().astype(np.uint8)


@dataclass(frozen=True, kw_only=True)
class OfGood(Computed):
    """Base of artifacts that come of the good images' features: they need these, and run where they do.

    Attributes:
        good: the features.
    """

    good: FeatureSet

    @property
    def category(self) -> Category:
        """That of the good images."""
        return self.good.category

    @property
    def compute(self) -> Compute:
        """That of the good features."""
        return self.good.compute

    @property
    def about(self) -> str:
        """The category."""
        return self.category.name

    def needs(self) -> Sequence[Artifact]:
        """Return the good features."""
        return (self.good,)
