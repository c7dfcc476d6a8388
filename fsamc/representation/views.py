"""Views of a square: its flips and quarter turns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsamc.config.representation import ViewSet


@dataclass(frozen=True, order=True)
class View:
    """A mirror image or not, and then some quarter turns.

    Attributes:
        flip: whether left and right are exchanged first.
        turns: quarter turns counter-clockwise, 0 to 3.
    """

    flip: bool
    turns: int

    def of(self, square: np.ndarray) -> np.ndarray:
        """Turn a square [S, S, ...]: an image, or a map over its grid of patches."""
        return np.ascontiguousarray(np.rot90(square[:, ::-1] if self.flip else square, self.turns))

    def __str__(self) -> str:
        return f"{'flip ' if self.flip else ''}{90 * self.turns}"


IDENTITY = View(False, 0)
_TURNS = tuple(View(False, turns) for turns in range(4))
_FLIPS = (IDENTITY, View(False, 2), View(True, 0), View(True, 2))
VIEWS: dict[ViewSet, tuple[View, ...]] = {
    "none": (IDENTITY,),
    "flips": _FLIPS,
    "turns": _TURNS,
    "all": (*_TURNS, *(View(True, turns) for turns in range(4))),
}


def grid_of(values: np.ndarray) -> np.ndarray:
    """Lay an image's patches [P, ...] out on their grid [H, H, ...]. Raises ValueError if P is no square number."""
    side = round(len(values) ** 0.5)
    if side * side != len(values):
        raise ValueError(f"{len(values)} patches lie on no square grid")
    return values.reshape(side, side, *values.shape[1:])
