"""Heat maps: how far from normal an image is, at each of its pixels, as numbers and as colours over the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsamc.config.features import Features
from fsamc.data.images import square_window
from fsamc.representation.views import grid_of

COLOURS = "inferno"  # Matplotlib's; its lightness grows evenly, so it also reads in grey and for the colour-blind


@dataclass(frozen=True)
class HeatScale:
    """Distances that the two ends of the colours stand for; pictures of one scale can be compared by eye.

    Attributes:
        low: at and below it nothing is laid over an image.
        high: at and above it the colour is the brightest.
    """

    low: float
    high: float

    @classmethod
    def of(cls, distances: np.ndarray, *, low: float = 0.5, high: float = 0.995) -> HeatScale:
        """Take the ends from the distances float32 [...] of all pictures that are to be compared, as shares of them.

        By default a patch that is no farther from normal than half of the patches is not coloured, and the farthest
        half of a percent is as bright as can be.
        """
        ends = np.quantile(distances, [low, high])
        return cls(float(ends[0]), float(ends[1]))

    def shares(self, heat: np.ndarray) -> np.ndarray:
        """Place distances [...] between the ends: float32 [...] in [0, 1]; 0 where there is none (NaN)."""
        width = (self.high - self.low) or 1.0
        return np.nan_to_num(np.clip((heat - self.low) / width, 0, 1)).astype(np.float32)


def heat_map(distances: np.ndarray, shape: tuple[int, int], features: Features) -> np.ndarray:
    """Bring an image's distances to its own pixels.

    Args:
        distances: float32 [P] of its patches, which lie on a square grid, as `nearest` gives them.
        shape: H and W of the image, or of a smaller copy of it.
        features: how the image became the network's square.

    Returns float32 [H, W], linear between the patches' centres; NaN where the network saw nothing (`fit: crop`).

    Raises ValueError if P is no square number.
    """
    grid = grid_of(np.asarray(distances, np.float32))
    top, left, height, width = square_window(shape, features)
    rows = _interpolation(shape[0], top, height, len(grid))
    columns = _interpolation(shape[1], left, width, len(grid))
    return rows @ grid @ columns.T


def overlay(image: np.ndarray, heat: np.ndarray, scale: HeatScale, *, strength: float = 0.75) -> np.ndarray:
    """Lay a heat map over its image: uint8 [H, W, 3].

    The farther from normal, the brighter the colour and the less of the image shines through.

    Args:
        image: uint8 [H, W, 3].
        heat: float32 [H, W], as `heat_map` gives it.
        scale: distances at the ends of the colours.
        strength: how much of the image the brightest colour covers, in [0, 1].

    Raises ValueError if image and heat map differ in size.
    """
    if image.shape[:2] != heat.shape:
        raise ValueError(f"the image is {image.shape[:2]} pixels, its heat map {heat.shape}; expected the same")
    import matplotlib as mpl  # takes a second to load

    shares = scale.shares(heat)
    colours = 255 * mpl.colormaps[COLOURS](shares)[..., :3]
    covered = strength * shares[..., None]
    return np.round((1 - covered) * image + covered * colours).astype(np.uint8)


def _interpolation(pixels: int, start: float, length: float, patches: int) -> np.ndarray:
    """Weigh the patches along a side at each pixel: float32 [pixels, patches], rows sum to 1; NaN outside the square.

    `start` and `length` are those of the square, in pixels.
    """
    centres = np.arange(pixels) + 0.5
    places = np.clip((centres - start) / length * patches - 0.5, 0, patches - 1)
    weights = np.maximum(0, 1 - np.abs(places[:, None] - np.arange(patches)))
    weights[(centres < start) | (centres >= start + length)] = np.nan
    return weights.astype(np.float32)
