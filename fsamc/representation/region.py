"""Region of an image that stands for it: its most anomalous patches, and how much each of them counts."""

from __future__ import annotations

import numpy as np

from fsamc.config.representation import Representation

RANKS = 7  # numbers of a profile


def anomalous_patches(distances: np.ndarray, settings: Representation) -> tuple[np.ndarray, np.ndarray]:
    """Choose the k patches of each image that are farthest from normal.

    With `weights: excess` a patch counts by its distance beyond that of the (k+1)-th, so that k is a soft bound: a
    small defect speaks through its few patches and is not drowned by the noise that fills the rest. Patches count
    alike with `uniform`, where k is all of them, and where none exceeds the (k+1)-th.

    Args:
        distances: float32 [n, P]. Ties go to the lower patch.
        settings: `patches` and `weights`.

    Returns:
        places int64 [n, k], weights float32 [n, k] that sum to one.
    """
    k = settings.count(distances.shape[1])
    order = np.argsort(-distances, axis=1, kind="stable")
    places = order[:, :k]
    weights = np.ones(places.shape, np.float32)
    if settings.weights == "excess" and k < distances.shape[1]:
        excess = np.take_along_axis(distances, places, 1) - np.take_along_axis(distances, order[:, k : k + 1], 1)
        weights = np.where(excess.sum(1, keepdims=True) > 0, excess, weights)
    return places, weights / weights.sum(1, keepdims=True)


def ranked(distances: np.ndarray) -> np.ndarray:
    """Return each image's distances [n, P] at seven ranks of its patches, the most anomalous first: float32 [n, 7].

    The ranks grow geometrically, to a share of the grid near a half: a point, a line and a blotch of the same look
    differ.
    """
    n_patches = distances.shape[1]
    ranks = np.floor(n_patches ** (np.arange(RANKS) / RANKS)).astype(int) - 1
    return np.ascontiguousarray(-np.sort(-distances, axis=1)[:, ranks])


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
    unit = np.sqrt(covariance.diagonal().mean()) or 1.0
    return np.float32(extent) * np.log1p(distances / unit).astype(np.float32)


def masked_patches(shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Take all patches, each by the share of it that a mask covers: places int64 [n, P], weights float32 [n, P].

    Args:
        shares: float32 [n, P] in [0, 1], none of an image all zero.
    """
    places = np.broadcast_to(np.arange(shares.shape[1]), shares.shape)
    return places, (shares / shares.sum(1, keepdims=True)).astype(np.float32)
