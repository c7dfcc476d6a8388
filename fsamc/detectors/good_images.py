"""Good images that a detector learns from: all of a category's, or some, of which none are copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True, eq=False)
class SomeImages:
    """Some of the good images, read when they are taken, as an array of their features would be.

    Attributes:
        features: float16 or float32 [G, P, D] of all good images, memory-mapped.
        images: int64 [n], which of them these are.
    """

    features: np.ndarray
    images: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """[n, P, D]."""
        return len(self.images), *self.features.shape[1:]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Any, /) -> np.ndarray:
        """Read images by their numbers, or patches by a pair of numbers of images and of places in them."""
        images, *places = key if isinstance(key, tuple) else (key,)
        return np.asarray(self.features[(self.images[images], *places)])

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self.features[image] for image in self.images)


GoodImages = np.ndarray | SomeImages


class PatchRows(Protocol):
    """Patches one after the other, [N, D], some of which are read at a time."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many there are, and D."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> np.ndarray: ...


@dataclass(frozen=True, eq=False)
class Patches:
    """The patches of some good images one after the other, [n*P, D], read when they are taken."""

    good: SomeImages

    @property
    def shape(self) -> tuple[int, int]:
        """How many there are, and D."""
        n_images, n_patches, dim = self.good.shape
        return n_images * n_patches, dim

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice | np.ndarray, /) -> np.ndarray:
        numbers = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else rows
        return self.good[numbers // self.good.shape[1], numbers % self.good.shape[1]]


def patches_of(good: GoodImages) -> np.ndarray | Patches:
    """Return the patches of good images [G, P, D] one after the other, [G*P, D]; nothing is copied."""
    return Patches(good) if isinstance(good, SomeImages) else good.reshape(-1, good.shape[-1])
