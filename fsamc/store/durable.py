"""Flushing of files and folders, so that what was announced is still there after a power cut."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fsamc.errors import naming

_NOT_OFFERED = (errno.EINVAL, errno.ENOTSUP, errno.EBADF)  # by file systems that cannot flush a folder


def sync(path: Path) -> None:
    """Flush a file's content, or the names in a folder, to the disk. Raises OSError where that fails."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if not (path.is_dir() and error.errno in _NOT_OFFERED):
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder with those above it, each flushed into the one that holds it. Raises OSError."""
    missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """Yield a file to write text to, which gets its name once the block ends well, and else leaves nothing."""
    with _named_when_whole(path) as beside, beside.open("w", encoding="utf-8", newline="") as lines:
        yield lines


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all; it is on the disk, under its name, when this returns."""
    with _named_when_whole(path) as beside:
        beside.write_bytes(content.encode() if isinstance(content, str) else content)


@contextmanager
def _named_when_whole(path: Path) -> Iterator[Path]:
    """Yield where to write a file that gets its name, and is flushed with it, once the block ends well."""
    beside = path.with_name(f"{path.name}.part")
    with naming(path):
        try:
            yield beside
            sync(beside)
            beside.replace(path)
            sync(path.parent)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
