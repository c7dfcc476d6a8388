"""Masks of pseudo-defects inside the foreground: noise above a threshold, or a polygon (paper 3.5, appendix C)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fsamc.config.pseudo import Pseudo
from fsamc.errors import BadInput
from fsamc.pseudo.foreground import Mask
from fsamc.pseudo.perlin import perlin_noise
from fsamc.pseudo.polygon import polygon


def poisson_mask(side: int, rng: np.random.Generator, config: Pseudo) -> Mask:
    """Draw blobs, bool [side, side]: blurred Poisson noise above `config.threshold` standard deviations over its mean.

    The blur is a share of the side, so that a blob is as large beside the object whatever the side in pixels.
    """
    noise = rng.poisson(config.rate, (side, side)).astype(np.float32)
    blurred: NDArray[np.float32] = noise
    if config.blur > 0:
        blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), config.blur * side), np.float32)
    mask: Mask = blurred > blurred.mean() + config.threshold * blurred.std()
    return mask


def perlin_mask(side: int, rng: np.random.Generator, config: Pseudo) -> Mask:
    """Draw blobs or stripes, bool [side, side]: Perlin noise above `config.perlin.threshold`.

    There are 2^a cells down and 2^b across, a and b drawn from `config.perlin.scales`, both ends included.
    """
    lowest, highest = config.perlin.scales
    down, across = (2 ** int(power) for power in rng.integers(lowest, highest + 1, 2))
    mask: Mask = perlin_noise(side, (down, across), rng) > config.perlin.threshold
    return mask


def polygon_mask(foreground: Mask, corners: int, rng: np.random.Generator, config: Pseudo) -> Mask:
    """Draw a regular polygon around a pixel of `foreground`, bool [S, S] like it: not yet cut to it.

    Its circle touches a box whose side is `config.polygon.size` of the image's, and which lies within the image.
    """
    side = foreground.shape[0]
    radius = config.polygon.size * side / 2.0
    fits = slice(int(radius), max(side - int(radius), int(radius) + 1))
    inner = foreground[fits, fits]
    places = np.argwhere(inner if inner.any() else np.ones_like(inner))
    place = places[rng.integers(len(places))] + int(radius) + rng.uniform(0.0, 1.0, 2)
    row, column = np.clip(place, radius, side - radius)
    return polygon(side, corners, centre=(row, column), radius=radius, angle=rng.uniform(0.0, 2.0 * np.pi))


def draw_mask(foreground: Mask, rng: np.random.Generator, config: Pseudo, *, corners: int | None = None) -> Mask:
    """Draw a mask inside `foreground` (both bool [S, S]), redrawn until it is in range; never an empty one.

    Noise must cover `config.area` of the foreground (the authors' program counts the share of the image). A polygon
    must lie on the foreground with `config.polygon.inside` of it.

    Args:
        foreground: where the object is; not empty.
        rng: draws all of them.
        config: their kind and their settings.
        corners: of the polygon, where masks are polygons.

    Raises:
        BadInput: none of `config.tries` masks was in range.
    """
    pixels = int(np.count_nonzero(foreground))
    assert pixels > 0, "a foreground is never empty"
    smallest, largest = (config.polygon.inside, 1.0) if config.mask == "polygon" else config.area
    shares: list[float] = []
    for _ in range(config.tries):
        whole = _candidate(foreground, rng, config, corners)
        mask = whole & foreground
        of = int(np.count_nonzero(whole)) if config.mask == "polygon" else pixels
        share = int(np.count_nonzero(mask)) / max(of, 1)
        if share > 0 and smallest <= share <= largest:
            return mask
        shares.append(share)
    raise BadInput(_out_of_range(shares, config))


def _candidate(foreground: Mask, rng: np.random.Generator, config: Pseudo, corners: int | None) -> Mask:
    if config.mask == "polygon":
        assert corners is not None, "which polygon is part of the pseudo-class"
        return polygon_mask(foreground, corners, rng, config)
    draw = poisson_mask if config.mask == "poisson" else perlin_mask
    return draw(foreground.shape[0], rng, config)


def _out_of_range(shares: list[float], config: Pseudo) -> str:
    if config.mask == "polygon":
        return (
            f"`pseudo.polygon.inside` {config.polygon.inside:g}: {len(shares)} polygons lay with {min(shares):.3f} to "
            f"{max(shares):.3f} of them on the foreground; lower it or `pseudo.polygon.size`"
        )
    smallest, largest = config.area
    poisson = config.mask == "poisson"
    key, cut = ("threshold", config.threshold) if poisson else ("perlin.threshold", config.perlin.threshold)
    if max(shares) < smallest:
        mend = f"lower `pseudo.{key}`"
    elif min(shares) > largest:
        mend = f"raise `pseudo.{key}`"
    else:
        mend = f"widen `pseudo.area` or lower `pseudo.{'blur' if poisson else 'perlin.scales'}`"
    return (
        f"`pseudo.{key}` {cut:g} with `pseudo.area` [{smallest:g}, {largest:g}]: {len(shares)} masks "
        f"covered {min(shares):.3f} to {max(shares):.3f} of the foreground and none the share asked for; {mend}"
    )
