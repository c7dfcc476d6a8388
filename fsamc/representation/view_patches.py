"""Patches of pictures in a view, and what would be normal there: what an image's vector is the mean of."""

from __future__ import annotations

from typing import Any

import numpy as np

from fsamc.config.features import Features
from fsamc.detectors.base import Detector
from fsamc.features.backbone import load_backbone
from fsamc.features.extraction import square_features
from fsamc.representation.views import View, grid_of


def turned_patches(
    squares: np.ndarray, places: np.ndarray, view: View, *, detector: Detector[Any], features: Features, device: str
) -> tuple[np.ndarray, np.ndarray]:
    """Turn pictures, and return their patches and the normal rows there, float32 [n, k, D] each.

    Args:
        squares: the untouched pictures uint8 [n, S, S, 3].
        places: int64 [n, k], which patches of the untouched pictures; they are followed where the view brings them.
        view: how they are turned.
        detector: says what is normal in the turned picture.
        features: how patches are extracted.
        device: where.
    """
    turned = np.stack([view.of(square) for square in squares])
    there = places_after(view, load_backbone(features, device).patches)[places]
    if detector.patchwise:
        patches = square_features(turned, features, device, there)
        _, indices = detector.compare(patches)
    else:
        whole = square_features(turned, features, device)
        patches = np.take_along_axis(whole, there[..., None], 1)
        indices = np.take_along_axis(detector.compare(whole)[1], there, 1)
    return patches.astype(np.float32), detector.rows[indices].astype(np.float32)


def weighted_mean(weights: np.ndarray, patches: np.ndarray) -> np.ndarray:
    """Average an image's patches [k, D] by weights [k]: float32 [D]."""
    return (weights @ patches).astype(np.float32)


def places_after(view: View, n_patches: int) -> np.ndarray:
    """Return where each patch of a picture lies after it is turned, int64 [P]."""
    return np.argsort(view.of(grid_of(np.arange(n_patches))), axis=None)
