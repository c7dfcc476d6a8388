"""Regular polygons as masks (paper, appendix C)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def polygon(side: int, corners: int, *, centre: tuple[float, float], radius: float, angle: float) -> NDArray[np.bool_]:
    """Draw a regular polygon, bool [side, side]: the pixels whose centres lie in it.

    Args:
        side: of the image, pixels.
        corners: of the polygon, 3 or more.
        centre: row and column in pixels; pixel (0, 0) has its centre at (0.5, 0.5).
        radius: of the circle through the corners, pixels.
        angle: of a normal of one edge, radians.
    """
    normals = angle + 2.0 * np.pi * np.arange(corners) / corners
    rows, columns = (np.arange(side) + 0.5 - middle for middle in centre)
    beyond = rows[:, None, None] * np.sin(normals) + columns[None, :, None] * np.cos(normals)  # [S, S, corners]
    inside: NDArray[np.bool_] = beyond.max(axis=-1) <= radius * np.cos(np.pi / corners)
    return inside
