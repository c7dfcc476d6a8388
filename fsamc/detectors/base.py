"""The protocol of a detector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fsamc.detectors import DETECTORS
from fsamc.store.store import Arrays

if TYPE_CHECKING:
    from fsamc.detectors.detector_kinds import Reference


class Detector(ABC):
    """Says what would be normal at each patch of an image, and how far from it the patch is.

    Args:
        kept: what `learn` gave, as it comes back from the disk.
        good: float16 or float32 [G, P, D], patch features of the good images that it learnt from; memory-mapped.
        settings: the knobs of `reference`.
        device: where the arithmetic runs, `cpu` or `cuda`.

    Attributes:
        measures: its distances are of its own kind, and not the lengths of the residuals.
    """

    measures: ClassVar[bool] = False

    def __init__(self, kept: Arrays, good: np.ndarray, settings: Reference, *, device: str = "cpu") -> None:
        self.kept, self.good, self.settings, self.device = kept, good, settings, device

    @classmethod
    @abstractmethod
    def learn(cls, good: np.ndarray, settings: Reference, *, seed: int, device: str = "cpu") -> dict[str, np.ndarray]:
        """What to keep of the good images' features [G, P, D], by name."""

    @classmethod
    @abstractmethod
    def bytes_kept(cls, settings: Reference, good: tuple[int, int, int]) -> int:
        """Roughly how much that is, for features of shape [G, P, D]."""

    @property
    @abstractmethod
    def rows(self) -> np.ndarray:
        """What is normal, [K, D], float16 or float32: a residual is a feature minus one of these."""

    @property
    def scale(self) -> np.ndarray:
        """Standard deviation of each channel among normal patches, float32 [D]; 1 where it never varies."""
        return self.kept["scale"]

    @abstractmethod
    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Patch features [n, P, D] to distances float32 [n, P] and numbers of the normal rows int64 [n, P]."""


class Retrieval(Detector):
    """First the good images most like the query, then the nearest of their patches. All good patches are the rows."""

    @property
    def rows(self) -> np.ndarray:
        """The good patches [G*P, D], as they lie on the disk."""
        return self.good.reshape(-1, self.good.shape[-1])

    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Image by image, so that no more than the patches of the retrieved ones are in memory."""
        distances = np.empty(features.shape[:2], np.float32)
        indices = np.empty(features.shape[:2], np.int64)
        for number, image in enumerate(features):
            distances[number], indices[number] = self.match(image, self.retrieve(image))
        return distances, indices

    def retrieve(self, image: np.ndarray) -> np.ndarray:
        """Numbers of the good images most like this one [P, D], in ascending order; of equal ones the lower."""
        order = np.argsort(self.unlikeness(image), kind="stable")
        return np.sort(order[: self.settings.images])

    @abstractmethod
    def unlikeness(self, image: np.ndarray) -> np.ndarray:
        """Of an image [P, D] to each good image, [G]: the smaller the more alike."""

    @abstractmethod
    def match(self, image: np.ndarray, retrieved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distances [P] of an image's patches [P, D] to rows of the retrieved images [R], and the rows' numbers [P]."""


def detector_class(kind: str) -> type[Detector]:
    """The class registered under `kind`."""
    module, name = DETECTORS[kind].path.split(":")
    found = getattr(import_module(module), name)
    assert issubclass(found, Detector)
    return found


def channel_spread(good: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Root mean square of good features [G, P, D] minus `normal` [P, D] or [D], per channel; 1 where it is zero.

    Image by image in double precision.
    """
    squares = np.zeros(good.shape[-1])
    for image in good:
        squares += np.square(np.subtract(image, normal, dtype=np.float64)).sum(axis=0)
    spread = np.sqrt(squares / (good.shape[0] * good.shape[1])).astype(np.float32)
    return np.where(spread > 0, spread, np.float32(1))


def image_means(good: np.ndarray) -> np.ndarray:
    """Mean of each image's patches, [G, P, D] to float32 [G, D]."""
    return np.stack([np.asarray(image, dtype=np.float32).mean(axis=0) for image in good])
