"""The shape of a pseudo-defect: thresholded, blurred Poisson noise inside the foreground (paper 3.5)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fsamc.config.fold import Pseudo
from fsamc.errors import BadInput

Mask = NDArray[np.bool_]


def poisson_mask(side: int, rng: np.random.Generator, config: Pseudo) -> Mask:
    """Blobs, bool [side, side]: Poisson noise, blurred, above `config.threshold` standard deviations over its mean.

    The blur is a share of the side, so that a blob is as large beside the object whatever the side in pixels.
    """
    noise = rng.poisson(config.rate, (side, side)).astype(np.float32)
    blurred: NDArray[np.float32] = noise
    if config.blur > 0:
        blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), config.blur * side), np.float32)
    mask: Mask = blurred > blurred.mean() + config.threshold * blurred.std()
    return mask


def draw_mask(foreground: Mask, rng: np.random.Generator, config: Pseudo) -> Mask:
    """A mask inside `foreground` (both bool [S, S]), redrawn until it covers `config.area` of it.

    Raises:
        BadInput: none of `config.tries` masks did.
    """
    smallest, largest = config.area
    pixels = int(np.count_nonzero(foreground))
    assert pixels > 0, "a foreground is never empty"
    shares: list[float] = []
    for _ in range(config.tries):
        mask = poisson_mask(foreground.shape[0], rng, config) & foreground
        share = int(np.count_nonzero(mask)) / pixels
        if smallest <= share <= largest:
            return mask
        shares.append(share)
    raise BadInput(_out_of_range(shares, config))


def _out_of_range(shares: list[float], config: Pseudo) -> str:
    smallest, largest = config.area
    if max(shares) < smallest:
        mend = "lower `pseudo.threshold`"
    elif min(shares) > largest:
        mend = "raise `pseudo.threshold`"
    else:
        mend = "widen `pseudo.area` or lower `pseudo.blur`"
    return (
        f"`pseudo.threshold` {config.threshold:g} with `pseudo.area` [{smallest:g}, {largest:g}]: {len(shares)} masks "
        f"covered {min(shares):.3f} to {max(shares):.3f} of the foreground and none the share asked for; {mend}"
    )
