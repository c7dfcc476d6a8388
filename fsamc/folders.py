"""What lies in a folder, in natural order: folders, images, their contents' hashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import xxhash
from natsort import natsorted

from fsamc.errors import BadInput
from fsamc.images import IMAGE_SUFFIXES


def subfolders(folder: Path) -> list[str]:
    """Names of the visible folders in a folder, in natural order; none if it is not there."""
    entries = folder.iterdir() if folder.is_dir() else iter(())
    return _natural(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def image_files(root: Path, folder: str) -> tuple[str, ...]:
    """Paths `folder/name` of the images in `root/folder`, in natural order; none if it is not there."""
    entries = (root / folder).iterdir() if (root / folder).is_dir() else iter(())
    names = (e.name for e in entries if e.suffix.lower() in IMAGE_SUFFIXES and e.is_file())
    return tuple(f"{folder}/{name}" for name in _natural(names) if not name.startswith("."))


def digest_files(root: Path, paths: Sequence[str]) -> dict[str, str]:
    """Path -> hash of the file's bytes (xxh3, 128 bits). Raises BadInput for a file that cannot be opened."""

    def digest(path: str) -> str:
        try:
            return xxhash.xxh3_128_hexdigest((root / path).read_bytes())
        except OSError as error:
            raise BadInput(f"{root / path}: cannot be opened ({error.strerror}); make it readable") from error

    with ThreadPoolExecutor(max_workers=4) as pool:
        return dict(zip(paths, pool.map(digest, paths), strict=True))


def _natural(names: Iterable[str]) -> list[str]:
    # Sorted plainly first: `1.png` and `01.png` are equal in natural order, and a folder lists them in any.
    return natsorted(sorted(names))
