"""Novelty: how far an image is from every type that was shown, by how images of one type differ.

A new image is measured against the support, and so is each image of the support against the others: where it stands
among them is what a stated error rate rests on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field

from fsamc.config.settings import Settings, Share

Support = Sequence[np.ndarray]


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


def novelty(queries: np.ndarray, support: Support, settings: NoveltySettings) -> np.ndarray:
    """Return how far images are from the nearest type, float64 [Q]; the higher, the less like any type shown.

    It is the squared Mahalanobis distance to a type's mean minus a share of that to the middle of all types, the least
    over the types. The covariance is that within types, shrunk. Nothing taken off is the distance alone, which calls
    all unusual defects new; all of it (relative Mahalanobis distance, Ren et al. 2021) leaves the directions that tell
    types apart, in which a new type may lie anywhere.

    Args:
        queries: float [Q, E].
        support: per type the vectors of its images, float [S, E]; sizes may differ.
        settings: see there.
    """
    frame = _Frame(np.concatenate(support))
    return _novelty(frame.of(queries), [frame.of(images) for images in support], settings)


def left_out_novelty(support: Support, settings: NoveltySettings) -> np.ndarray:
    """Return the novelty of each support image beside all others, float64 [n], type by type.

    It is infinite for a type's only image: without it nobody has shown that type.
    """
    frame = _Frame(np.concatenate(support))
    cuts = _cuts([frame.of(images) for images in support])
    return np.array([np.inf if others is None else _novelty(image, others, settings)[0] for image, others in cuts])


def standard_novelty(support: Support, settings: NoveltySettings) -> np.ndarray:
    """Return `left_out_novelty` from its mean, in standard deviations: what a category lends to others, float64 [n].

    Both are of the finite scores. All are infinite where fewer than two are finite, or where these do not differ.
    """
    scores = left_out_novelty(support, settings)
    mean, deviation = _level(scores)
    return (scores - mean) / deviation if deviation else np.full(len(scores), np.inf)


def p_values(
    queries: np.ndarray, support: Support, settings: NoveltySettings, *, elsewhere: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """Return how usual an image's novelty is among images of the types shown, float64 [Q] in (0, 1].

    It is the share of images that are as novel or more, the image itself among them. It is compared with each support
    image beside what neither of them is part of: the support without that one (jackknife+, Barber et al. 2021).

    Args:
        queries: float [Q, E].
        support: per type the vectors of its images, float [S, E]; sizes may differ.
        settings: of novelty.
        elsewhere: what `standard_novelty` gave in other categories, float [m] each. Each then counts as much as this
            one (hierarchical conformal prediction, Lee, Barber and Willett 2023).
    """
    frame = _Frame(np.concatenate(support))
    framed, types = frame.of(queries), [frame.of(images) for images in support]
    counts = np.ones(len(queries))
    for image, others in _cuts(types):
        if others is None:
            counts += 1
        else:
            scores = _novelty(np.concatenate([image, framed]), others, settings)
            counts += scores[0] >= scores[1:]
    shares = [counts / (1 + sum(map(len, support)))]
    if elsewhere:
        mean, deviation = _level(left_out_novelty(support, settings))
        whole = (_novelty(framed, types, settings) - mean) / deviation if deviation else np.full(len(queries), -np.inf)
        shares += [(category >= whole[:, None]).mean(1) for category in elsewhere]
    return np.asarray(np.mean(shares, axis=0))


def least_p_value(support: Support, *, elsewhere: Sequence[np.ndarray] = ()) -> float:
    """Return the p-value of an image that is as novel as can be; the arguments are those of `p_values`.

    1 / (n + 1), where every type has two images or more and no category lends.
    """
    alone = sum(len(images) == 1 for images in support)
    n_images = sum(map(len, support))
    lent = [np.isinf(category).mean() if n_images - alone > 1 else 1.0 for category in elsewhere]
    return float(np.mean([(1 + alone) / (1 + n_images), *lent]))


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


def _cuts(support: Support) -> Iterator[tuple[np.ndarray, list[np.ndarray] | None]]:
    """Yield each image [1, E] and the support without it; None in place of that where a type would be left empty."""
    for label, images in enumerate(support):
        for row in range(len(images)):
            others = [np.delete(same, row, axis=0) if k == label else same for k, same in enumerate(support)]
            yield images[row : row + 1], others if len(images) > 1 else None


def _level(scores: np.ndarray) -> tuple[float, float]:
    """Return mean and standard deviation of the finite scores; 0 and 0 of fewer than two."""
    finite = scores[np.isfinite(scores)]
    return (float(finite.mean()), float(finite.std(ddof=1))) if len(finite) > 1 else (0.0, 0.0)


def _novelty(queries: np.ndarray, support: Support, settings: NoveltySettings) -> np.ndarray:
    """Return `novelty` of vectors in a frame."""
    means = np.stack([images.mean(0) for images in support])
    units = _units(
        np.concatenate([images - mean for images, mean in zip(support, means, strict=True)]), len(means), settings
    )
    queries, means = queries @ units, means @ units
    to_types = np.square(queries[:, None] - means).sum(2)
    to_middle = np.square(queries - means.mean(0)).sum(1)
    return np.asarray(to_types.min(1) - settings.relative * to_middle)


def _units(within: np.ndarray, n_types: int, settings: NoveltySettings) -> np.ndarray:
    """Return the matrix [K, K] that divides by the root of a shrunk covariance, of images minus their means [n, K]."""
    freedom = len(within) - n_types
    scatter = within.T @ within
    if not (total := float(scatter.trace())):
        return np.eye(len(scatter))
    share = settings.shrinkage
    covariance = ((1 - share) * scatter + share * total / freedom * np.eye(len(scatter))) / freedom
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)).T)
