""".npy files whose room on disk is taken before they are filled.

A file that is mapped into memory and has holes kills the process when the disk is full by then; and what NumPy raises
when it cannot write on has no error number. Here both are an OSError that says so.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike


def create_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """Return a new file, mapped for writing, zeros at first. Raises OSError if the disk has no room for all of it."""
    kind = np.dtype(dtype)
    header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        npy.write_array_header_1_0(file, header)
        file.flush()
        _take(file.fileno(), file.tell() + kind.itemsize * int(np.prod(shape)), path)
    return npy.open_memmap(path, mode="r+")


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array, as `np.save` would. Raises OSError if the disk has no room for it."""
    kept = create_array(path, array.dtype, array.shape)
    kept[...] = array
    kept.flush()


def _take(descriptor: int, size: int, path: Path) -> None:
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, size)
        else:  # macOS: the size, at least
            os.truncate(descriptor, size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
