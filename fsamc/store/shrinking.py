"""Shrinking of large arrays in a file: bytes of equal weight side by side, then zlib. Nothing is lost.

Features of one network are of one order of magnitude, so the high bytes of their numbers are few and repeat.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from math import prod
from typing import Literal

import numpy as np
from pydantic import Field

from fsamc.config.settings import Settings

LEAST = 1 << 20  # bytes from which on it pays
_MOST = 1 << 31
_SUFFIX = ".zlib"


class Shrunk(Settings):
    """Type and shape of an array that is shrunk."""

    dtype: Literal["float16", "float32"]
    shape: tuple[int, ...] = Field(max_length=4)


def shrink(arrays: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, Shrunk]]:
    """Return the arrays to be written, and which of them are shrunk, by name; `grow` gives the same arrays back."""
    written: dict[str, np.ndarray] = {}
    shrunk: dict[str, Shrunk] = {}
    for name, array in arrays.items():
        if array.nbytes < LEAST or array.dtype not in (np.float16, np.float32):
            written[name] = np.ascontiguousarray(array)
            continue
        shrunk[name] = Shrunk.model_validate({"dtype": str(array.dtype), "shape": array.shape})
        planes = np.ascontiguousarray(array).reshape(-1, 1).view(np.uint8).T
        written[name + _SUFFIX] = np.frombuffer(zlib.compress(planes.tobytes(), 6), np.uint8)
    return written, shrunk


def grow(arrays: Mapping[str, np.ndarray], shrunk: Mapping[str, Shrunk]) -> dict[str, np.ndarray]:
    """Return what `shrink` was given.

    Raises:
        ValueError, KeyError or zlib.error: an array is missing, or of another size than is said.
    """
    packed = {name + _SUFFIX for name in shrunk}
    grown = {name: array for name, array in arrays.items() if name not in packed}
    return grown | {name: _grown(arrays[name + _SUFFIX].tobytes(), like) for name, like in shrunk.items()}


def _grown(content: bytes, like: Shrunk) -> np.ndarray:
    kind = np.dtype(like.dtype)
    size = kind.itemsize * prod(like.shape)
    if not 0 <= size <= _MOST or min(like.shape, default=0) < 0:
        raise ValueError(f"an array of shape {like.shape} is larger than any that is read")
    stream = zlib.decompressobj()
    planes = stream.decompress(content, size + 1)
    if len(planes) != size or not stream.eof:
        raise ValueError(f"an array of shape {like.shape} has another size")
    values = np.frombuffer(planes, np.uint8).reshape(kind.itemsize, -1).T
    return np.ascontiguousarray(values).view(kind).reshape(like.shape)
