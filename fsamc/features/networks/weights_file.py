"""Files of weights, by content. Loads no torch."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import xxhash

from fsamc.errors import BadInput
from fsamc.store.digests import file_digest


def check_file(path: str) -> str:
    """Hash a weights file's content, read again once the file has changed. Raises BadInput if it is not there."""
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file; give the path of a .pt2 program, .pth or .safetensors weights")
    status = Path(path).stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


def read_checked(path: str) -> bytes:
    """Read a weights file whole: the bytes that `check_file` has hashed. Raises BadInput if they are others now."""
    expected = check_file(path)
    content = Path(path).read_bytes()
    if xxhash.xxh3_128_hexdigest(content) != expected:
        raise BadInput(f"{path}: has changed since it was hashed; start again, and leave the file as it is")
    return content


def brief(error: Exception) -> str:
    """Return the start of an error's text in one line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


@lru_cache(maxsize=16)
def _digest(path: str, _size: int, _modified: int) -> str:
    return file_digest(Path(path))
