"""Pixel values of a decoded picture: in as many bits as its file says, as 8-bit colour, and as a mask."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LABELS = 16  # a mask of so many values at most is one of labels, unless it was compressed with loss


class Unsupported(ValueError):
    """A valid picture of a kind that is not read: says what it is, and what to save it as."""


@dataclass(frozen=True, eq=False)
class Pixels:
    """A picture, upright: black is 0, white `full`.

    Attributes:
        values: unsigned integers [H, W] (grey) or [H, W, 3] (red, green, blue).
        bits: of a value, 1 to 32.
        lossy: whether its file was compressed with loss.
    """

    values: np.ndarray
    bits: int
    lossy: bool = False

    @property
    def full(self) -> int:
        """The largest value that the bits hold."""
        return 2**self.bits - 1

    def eight_bits(self) -> np.ndarray:
        """Return the values as uint8: the high byte of deep ones; fewer bits are spread over 0 to 255."""
        if self.bits > 8:
            return (self.values >> (self.bits - 8)).astype(np.uint8)
        spread = self.values if self.bits == 8 else self.values * np.uint16(255) // self.full
        return spread.astype(np.uint8, copy=False)

    def rgb(self) -> np.ndarray:
        """Return uint8 [H, W, 3], which the caller may write to."""
        eight = self.eight_bits()
        return np.array(eight) if eight.ndim == 3 else np.repeat(eight[:, :, None], 3, axis=2)

    def mask(self) -> np.ndarray:
        """Return bool [H, W]: what a mask marks.

        In a mask of labels that is whatever is not 0. One whose edges are soft (resized, or compressed with loss) has
        many values, up to at least half of its range: it marks what is above half of its largest value.
        """
        values = self.values if self.values.ndim == 2 else self.values.max(axis=2)
        top = values.max()
        soft = self.lossy or (top > self.full // 2 and len(np.unique(values)) > _LABELS)
        return values > (top / 2 if soft else 0)

    def exposure_problem(self) -> str | None:
        """Say if the picture is constant, nearly black, or within an eighth of its range."""
        low, high, eighth = int(self.values.min()), int(self.values.max()), (self.full + 1) // 8
        if low == high:
            return f"is constant: every value is {low}"
        if high - low >= eighth:
            return None
        if high >= eighth:
            return f"is within less than an eighth of its range: {low} to {high} of {self.full}"
        text = f"is nearly black: its values end at {high} of {self.full}"
        bits = max(high.bit_length(), 9)
        return text if self.bits <= bits else f"{text}; if these are {bits} bits, multiply by {2 ** (self.bits - bits)}"


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turn values [H, W, …] as EXIF's or TIFF's tag 274 says they are to be shown; unknown numbers turn nothing."""
    turned = values.swapaxes(0, 1) if orientation in (5, 6, 7, 8) else values
    turned = turned[:, ::-1] if orientation in (2, 3, 6, 7) else turned
    return np.ascontiguousarray(turned[::-1] if orientation in (3, 4, 7, 8) else turned)
