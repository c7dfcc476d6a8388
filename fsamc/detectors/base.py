"""Protocol of a detector."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pkgutil import resolve_name
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from fsamc.detectors.detector_kinds import DetectorSettings, RetrievalSettings
from fsamc.detectors.good_images import GoodImages, patches_of
from fsamc.store.store import Arrays

S = TypeVar("S", bound=DetectorSettings)
R = TypeVar("R", bound=RetrievalSettings)


class Detector(ABC, Generic[S]):
    """Says what would be normal at each patch of an image, and how far from it the patch is.

    Args:
        kept: what `learn` returned, as it comes back from the disk.
        good: float16 or float32 [G, P, D], patch features of the good images that it learnt from, read when they are
            taken.
        settings: of its kind.
        device: where the arithmetic runs, `cpu` or `cuda`.

    Attributes:
        measures: its distances are of its own kind, and not the lengths of the residuals.
        patchwise: a patch is compared by itself, wherever it lies and whatever lies around it.
        self_contained: what `learn` returned is all that it needs of the good images.
    """

    measures: ClassVar[bool] = False
    patchwise: ClassVar[bool] = False
    self_contained: ClassVar[bool] = True

    def __init__(self, kept: Arrays, good: GoodImages, settings: S, *, device: str = "cpu") -> None:
        self.kept, self.good, self.settings, self.device = kept, good, settings, device

    @classmethod
    @abstractmethod
    def learn(cls, good: GoodImages, settings: S, *, seed: int, device: str = "cpu") -> dict[str, np.ndarray]:
        """Return what to keep of the good images' features [G, P, D], by name."""

    @classmethod
    @abstractmethod
    def bytes_kept(cls, settings: S, good: tuple[int, int, int]) -> int:
        """Estimate how much that is, for features of shape [G, P, D]."""

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
        """Compare patch features [n, P, D]: distances float32 [n, P], numbers of the normal rows int64 [n, P]."""


class Retrieval(Detector[R]):
    """First the good images most like the query, then the nearest of their patches. All good patches are the rows."""

    self_contained: ClassVar[bool] = False

    @property
    def rows(self) -> np.ndarray:
        """The good patches [G*P, D], as they lie on the disk."""
        return np.asarray(patches_of(self.good)[:])

    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare image by image, so that no more than the patches of the retrieved ones are in memory."""
        distances = np.empty(features.shape[:2], np.float32)
        indices = np.empty(features.shape[:2], np.int64)
        for number, image in enumerate(features):
            distances[number], indices[number] = self.match(image, self.retrieve(image))
        return distances, indices

    def retrieve(self, image: np.ndarray) -> np.ndarray:
        """Return the numbers of the good images most like this one [P, D], ascending; of equal ones the lower."""
        order = np.argsort(self.unlikeness(image), kind="stable")
        return np.sort(order[: self.settings.images])

    @abstractmethod
    def unlikeness(self, image: np.ndarray) -> np.ndarray:
        """Compare an image [P, D] with each good image, [G]: the smaller the more alike."""

    @abstractmethod
    def match(self, image: np.ndarray, retrieved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare patches [P, D] with rows of the retrieved images [R]: distances [P] and the rows' numbers [P]."""


def detector_class(settings: DetectorSettings) -> type[Detector[Any]]:
    """Load the class of a detector."""
    detector = resolve_name(settings.detector)
    assert issubclass(detector, Detector)
    return detector


def channel_spread(good: GoodImages, normal: np.ndarray) -> np.ndarray:
    """Compute the root mean square per channel of good features [G, P, D] minus `normal` [P, D] or [D].

    1 where it is zero. Image by image in double precision.
    """
    squares = np.zeros(good.shape[-1])
    for image in good:
        squares += np.square(np.subtract(image, normal, dtype=np.float64)).sum(axis=0)
    spread = np.sqrt(squares / (good.shape[0] * good.shape[1])).astype(np.float32)
    return np.where(spread > 0, spread, np.float32(1))


def channel_scale(rows: np.ndarray) -> np.ndarray:
    """Compute the standard deviation per channel of a bank's rows [K, D], float32 [D]; 1 where one never varies."""
    deviation = rows.std(axis=0, dtype=np.float32)
    return np.where(deviation > 0, deviation, np.float32(1))


def image_means(good: GoodImages) -> np.ndarray:
    """Average each image's patches, [G, P, D] to float32 [G, D]."""
    return np.stack([np.asarray(image, dtype=np.float32).mean(axis=0) for image in good])
