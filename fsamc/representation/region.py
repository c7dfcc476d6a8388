"""Region of an image that stands for it: its most anomalous patches, and how much each of them counts."""

from __future__ import annotations

import numpy as np

from fsamc.config.representation import Representation
from fsamc.representation.views import grid_of

RANKS = 7  # numbers of a profile


def anomalous_patches(distances: np.ndarray, settings: Representation) -> tuple[np.ndarray, np.ndarray]:
    """Choose the k patches of each image that are farthest from normal.

    With `weights: excess` a patch counts by its distance beyond that of the (k+1)-th, so that k is a soft bound: a
    small defect speaks through its few patches and is not drowned by the noise that fills the rest. Patches count
    alike with `uniform`, where k is all of them, and where none exceeds the (k+1)-th. With `patches: stable` k is
    another for each image (`stable_count`), half of the patches at the most, and the places beyond weigh nothing.

    Args:
        distances: float32 [n, P]. Ties go to the lower patch.
        settings: `patches` and `weights`.

    Returns:
        places int64 [n, k], weights float32 [n, k] that sum to one.
    """
    k = settings.count(distances.shape[1])
    order = np.argsort(-distances, axis=1, kind="stable")
    counts = np.full(len(distances), k)
    if settings.patches == "stable":
        counts = np.array([stable_count(grid_of(one), k) for one in distances])
    places, falling = order[:, :k], np.take_along_axis(distances, order, 1)
    weights = (np.arange(k) < counts[:, None]).astype(np.float32)
    if settings.weights == "excess" and k < distances.shape[1]:
        excess = np.maximum(falling[:, :k] - np.take_along_axis(falling, counts[:, None], 1), 0)
        weights = np.where(excess.sum(1, keepdims=True) > 0, excess, weights)
    return places, weights / weights.sum(1, keepdims=True)


def stable_count(distances: np.ndarray, most: int) -> int:
    """Count the patches above the threshold at which the number of connected regions stays the same for longest.

    As a threshold falls, regions appear, grow and merge. What is there over the longest stretch of thresholds is the
    least owed to where the threshold is; it is taken at the lower end of the stretch, before the number changes.
    Patches with an edge in common are connected. Of two stretches of one length the higher is taken.

    Args:
        distances: [H, H].
        most: that may lie above the threshold.
    """
    from scipy import ndimage  # here, because scheduling folds must not load it

    order = np.argsort(-distances, axis=None, kind="stable")
    falling, ranks = distances.ravel()[order].astype(np.float64), np.argsort(order).reshape(distances.shape)
    regions = [ndimage.label(ranks < above)[1] for above in range(1, min(most + 1, len(order)) + 1)]
    changes = 1 + np.flatnonzero(np.diff(regions))  # so many lie above when the next one changes the number
    ends = np.append(changes, most) if most < len(order) else changes
    stretches = falling[np.append(0, changes)[: len(ends)]] - falling[ends]
    return int(ends[stretches.argmax()]) if len(ends) else most


def ranked(distances: np.ndarray) -> np.ndarray:
    """Return each image's distances [n, P] at seven ranks of its patches, the most anomalous first: float32 [n, 7].

    The ranks grow geometrically, to a share of the grid near a half: a point, a line and a blotch of the same look
    differ.
    """
    return np.ascontiguousarray(-np.sort(-distances, axis=1)[:, profile_ranks(distances.shape[1])])


def profile_ranks(n_patches: int) -> np.ndarray:
    """Return the ranks that `ranked` takes of P patches, counted from 0: int64 [7]."""
    return np.floor(n_patches ** (np.arange(RANKS) / RANKS)).astype(int) - 1


def profile_unit(covariance: np.ndarray) -> np.float32:
    """Return the root mean square deviation of normal patches in a channel; 1 where they never vary."""
    return np.float32(np.sqrt(covariance.diagonal().mean()) or 1.0)


def profiles(distances: np.ndarray, covariance: np.ndarray | None, extent: float = 1.0) -> np.ndarray:
    """Describe how far anomalies reach: extent * log(1 + distance / unit), float32 [n, R]; [n, 0] for an extent of 0.

    Args:
        distances: float32 [n, R], at growing ranks.
        covariance: float32 [D, D], of normal patches; the unit is their root mean square deviation in a channel, or 1
            where they never vary. None where the extent is 0.
        extent: weight of the profile.
    """
    if not extent:
        return np.empty((len(distances), 0), np.float32)
    assert covariance is not None
    return np.float32(extent) * np.log1p(distances / profile_unit(covariance)).astype(np.float32)


def masked_patches(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take all patches, each by the share of it that a mask covers: places int64 [n, P], weights float32 [n, P].

    Args:
        shares: float32 [n, P] in [0, 1], none of an image all zero.
    """
    places = np.broadcast_to(np.arange(shares.shape[1]), shares.shape)
    return places, (shares / shares.sum(1, keepdims=True)).astype(np.float32)
