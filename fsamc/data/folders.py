"""Folder contents in natural order: subfolders, images, hashes of their bytes.

Links are followed, wherever they lead: many data sets are folders of links. What is neither folder nor file, such as
a device, a pipe or a link to itself, is passed by unopened.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash
from natsort import natsorted

from fsamc.data.images import IMAGE_SUFFIXES
from fsamc.errors import BadInput

_FORMULA = "=+-@"  # what a spreadsheet computes when it opens a table whose cell begins so
_UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, bytes that are no UTF-8, ends of lines
_BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # let a name look like another


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in a folder, in natural order; none if it is not there.

    Raises BadInput for a name that a table, a terminal or a spreadsheet would take for something else.
    """
    entries = folder.iterdir() if folder.is_dir() else iter(())
    names = _natural(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    for name in names:
        if name[0] in _FORMULA:
            raise BadInput(f"{folder}: the folder {name!r} begins as a spreadsheet's formula does; rename it")
        _check_name(folder, name)
    return names


def image_files(root: Path, folder: str) -> tuple[str, ...]:
    """Paths `folder/name` of the images in `root/folder`, in natural order; none if it is not there.

    Raises BadInput for a name that cannot be shown or written down.
    """
    entries = (root / folder).iterdir() if (root / folder).is_dir() else iter(())
    found = (e.name for e in entries if e.suffix.lower() in IMAGE_SUFFIXES and e.is_file())
    names = [name for name in _natural(found) if not name.startswith(".")]
    for name in names:
        _check_name(root / folder, name)
    return tuple(f"{folder}/{name}" for name in names)


def digest_files(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Path -> hash of the file's bytes (xxh3, 128 bits). Raises BadInput for a file that cannot be opened."""

    def digest(path: str) -> str:
        try:
            return xxhash.xxh3_128_hexdigest((root / path).read_bytes())
        except OSError as error:
            raise BadInput(f"{root / path}: cannot be opened ({error.strerror}); make it readable") from error

    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(paths, pool.map(digest, paths), strict=True))


def _check_name(folder: Path, name: str) -> None:
    if any(unicodedata.category(one) in _UNPRINTABLE or one in _BIDI for one in name):
        raise BadInput(f"{folder}: the name {name!a} holds control characters or is no UTF-8; rename it")


def _natural(names: Iterable[str]) -> list[str]:
    # Sorted plainly first: `1.png` and `01.png` are equal in natural order, and a folder lists them in any.
    return natsorted(sorted(names))
