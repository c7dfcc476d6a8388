"""Novelty: how far an image is from every type that was shown, by how images of one type differ.

A new image is measured against the support, and so is each image of the support against the others: where it stands
among them is what a stated error rate rests on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from pydantic import Field

from fsamc.config.settings import Settings, Share


class NoveltySettings(Settings):
    """How far an image is from a type."""

    shrinkage: float = Field(
        0.3,
        gt=0.0,
        le=1.0,
        description="share of the mean variance in the covariance within types that units come from",
    )
    relative: Share = Field(
        0.4, description="share of the squared distance to the middle of all types that is taken off that to a type"
    )


class Novelty:
    """How far images are from the nearest type shown; the higher, the less like any of them.

    It is the squared Mahalanobis distance to a type's mean minus a share of that to the middle of all types, the least
    over the types. The covariance is that within types, shrunk. Nothing taken off is the distance alone, which calls
    all unusual defects new; all of it (relative Mahalanobis distance, Ren et al. 2021) leaves the directions that tell
    types apart, in which a new type may lie anywhere.

    All is computed in the eigenvectors of the scatter within types: leaving an image out is then a change of rank one.

    Args:
        support: per type the vectors of its images, float [S, E]; sizes may differ; n images in all.
        settings: see there.
    """

    def __init__(self, support: Sequence[np.ndarray], settings: NoveltySettings) -> None:
        self._settings, self._frame = settings, _Frame(np.concatenate(support))
        types = [self._frame.of(images) for images in support]
        within = np.concatenate([images - images.mean(0) for images in types])
        spread, self._axes = np.linalg.eigh(within.T @ within)
        self._spread = np.maximum(spread, 0)
        self._types = [images @ self._axes for images in types]
        self._means = np.stack([images.mean(0) for images in self._types])
        self._freedom = len(within) - len(types)

    def __call__(self, queries: np.ndarray) -> np.ndarray:
        """Return the novelty of images [Q, E], float64 [Q]."""
        return self._of(self._placed(queries))

    @cached_property
    def left_out(self) -> np.ndarray:
        """Novelty of each support image beside all others, float64 [n], type by type.

        It is infinite for a type's only image: without it nobody has shown that type.
        """
        return np.array(
            [
                self._of(images[[row]], without=(label, row))[0] if len(images) > 1 else np.inf
                for label, images in enumerate(self._types)
                for row in range(len(images))
            ]
        )

    @property
    def standard(self) -> np.ndarray:
        """What a category lends to others: `left_out` from its mean, in standard deviations, float64 [n].

        Both are of the finite scores. All are infinite where fewer than two are finite, or where these do not differ.
        """
        mean, deviation = self._level
        return (self.left_out - mean) / deviation if deviation else np.full(len(self.left_out), np.inf)

    def p_values(self, queries: np.ndarray, *, elsewhere: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Return how usual the novelty of images [Q, E] is among images of the types shown, float64 [Q] in (0, 1].

        It is the share of images that are as novel or more, the image itself among them. It is compared with each
        support image beside what neither of them is part of: the support without that one (jackknife+, Barber et al.
        2021).

        `elsewhere`: `standard` of other categories, float [m] each. Each then counts as much as this one (hierarchical
        conformal prediction, Lee, Barber and Willett 2023).
        """
        placed, counts = self._placed(queries), np.ones(len(queries))
        for label, images in enumerate(self._types):
            for row in range(len(images)):
                if len(images) == 1:
                    counts += 1
                else:
                    scores = self._of(np.concatenate([images[[row]], placed]), without=(label, row))
                    counts += scores[0] >= scores[1:]
        shares = [counts / (1 + len(self.left_out))]
        if elsewhere:
            mean, deviation = self._level
            whole = (self._of(placed) - mean) / deviation if deviation else np.full(len(queries), -np.inf)
            shares += [(category >= whole[:, None]).mean(1) for category in elsewhere]
        return np.asarray(np.mean(shares, axis=0))

    def least_p_value(self, *, elsewhere: Sequence[np.ndarray] = ()) -> float:
        """Return the p-value of an image that is as novel as can be.

        1 / (n + 1), where every type has two images or more and no category lends.
        """
        alone = sum(len(images) == 1 for images in self._types)
        n_images = sum(map(len, self._types))
        lent = [np.isinf(category).mean() if n_images - alone > 1 else 1.0 for category in elsewhere]
        return float(np.mean([(1 + alone) / (1 + n_images), *lent]))

    @cached_property
    def _level(self) -> tuple[float, float]:
        """Mean and standard deviation of the finite left-out scores; 0 and 0 of fewer than two."""
        finite = self.left_out[np.isfinite(self.left_out)]
        return (float(finite.mean()), float(finite.std(ddof=1))) if len(finite) > 1 else (0.0, 0.0)

    def _placed(self, queries: np.ndarray) -> np.ndarray:
        return np.asarray(self._frame.of(queries) @ self._axes)

    def _of(self, placed: np.ndarray, *, without: tuple[int, int] | None = None) -> np.ndarray:
        """Return the novelty of placed images [Q, K] beside the support, or all of it but one of a type's images."""
        means, apart, factor = self._means, np.zeros(placed.shape[1]), 0.0
        if without:
            label, row = without
            size = len(self._types[label])
            apart, factor = self._types[label][row] - means[label], size / (size - 1)
            means = means.copy()
            means[label] -= apart / (size - 1)
        units = self._units(apart, factor)
        to_types = np.stack([units(placed - mean) for mean in means], axis=1)
        return np.asarray(to_types.min(1) - self._settings.relative * units(placed - means.mean(0)))

    def _units(self, apart: np.ndarray, factor: float) -> Callable[[np.ndarray], np.ndarray]:
        """Return squared lengths by the inverse covariance, of which factor * apart apartᵀ is taken off the scatter.

        Plain lengths, where images of a type do not differ.
        """
        freedom, share = self._freedom - (factor > 0), self._settings.shrinkage
        total = self._spread.sum() - factor * np.square(apart).sum()
        if total <= 1e-12 * self._spread.sum() or not freedom:
            return lambda vectors: np.square(vectors).sum(1)
        variances = ((1 - share) * self._spread + share * total / freedom) / freedom
        weight = (1 - share) * factor / freedom
        along = apart / variances
        weight /= 1 - weight * (apart @ along)  # Sherman and Morrison
        return lambda vectors: np.square(vectors) @ (1 / variances) + weight * np.square(vectors @ along)


class _Frame:
    """Coordinates in the span of some vectors [n, E], and the length of what lies beyond it.

    All distances between those vectors and one other are kept, in n + 1 numbers in place of thousands.
    """

    def __init__(self, vectors: np.ndarray) -> None:
        self._axes = np.linalg.qr(vectors.T.astype(np.float64))[0]  # [E, min(n, E)]

    def of(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors [N, E] as float64 [N, min(n, E) + 1]."""
        within = vectors @ self._axes
        beyond = np.square(vectors, dtype=np.float64).sum(1) - np.square(within).sum(1)
        return np.column_stack([within, np.sqrt(np.maximum(beyond, 0))])
