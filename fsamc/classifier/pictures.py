"""Pictures as users hand them over: folders, paths, arrays, or whatever yields these, one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from os import path as os_path
from pathlib import Path
from typing import TypeVar

import numpy as np
import xxhash
from PIL import Image

from fsamc.data.category import Category
from fsamc.data.folders import check_class_name, digest_files, image_files, subfolders
from fsamc.data.images import IMAGE_SUFFIXES, read_image
from fsamc.data.pictures.decoding import picture_digest
from fsamc.errors import BadInput
from fsamc.store.digests import digest

T = TypeVar("T")
Pictures = str | Path | np.ndarray | Iterable["str | Path | np.ndarray"]
"""A folder (read with the folders in it), a file, an array uint8 [N, H, W, 3] or [H, W, 3], or an iterable of these."""


@dataclass(frozen=True)
class NamedPicture:
    """One picture and its name: the path as it was handed over, or the number of an array.

    Attributes:
        pixels: uint8 [H, W, 3]; None where only the file is named.
    """

    name: str
    pixels: np.ndarray | None = None

    def read(self) -> np.ndarray:
        """Return the pixels, uint8 [H, W, 3]. Raises BadInput for a file that cannot be read."""
        return read_image(Path(self.name)) if self.pixels is None else self.pixels


def named_pictures(pictures: Pictures) -> Iterator[NamedPicture]:
    """Yield the pictures in order, unread: of a folder those in it and in its folders, in natural order.

    Raises BadInput for a path that is not there, a folder without a picture, or an array of another shape or type.
    """
    number = 0
    for one in [pictures] if isinstance(pictures, str | Path | np.ndarray) else pictures:
        if isinstance(one, np.ndarray):
            for pixels in _images(one):
                yield NamedPicture(str(number), pixels)
                number += 1
        else:
            yield from (NamedPicture(str(path)) for path in _files(Path(one)))


def read_ahead(
    pictures: Iterator[NamedPicture], size: int, prepare: Callable[[np.ndarray], T]
) -> Iterator[list[tuple[str, T | str]]]:
    """Yield what `prepare` makes of pictures uint8 [H, W, 3], by name and in batches, the next one read meanwhile.

    Of a picture that cannot be read, the reason.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        ahead = pool.submit(_read, list(islice(pictures, size)), prepare)
        while batch := ahead.result():
            ahead = pool.submit(_read, list(islice(pictures, size)), prepare)
            yield batch


def pixels_digest(name: str, pixels: np.ndarray) -> str:
    """Hash a picture: the bytes of the file of this name, or the array's where there is none."""
    path = Path(name)
    return picture_digest(path.read_bytes()) if path.is_file() else digest(xxhash.xxh3_128_hexdigest(pixels.data))


def category_of(good: Pictures, support: Mapping[str, Pictures], *, name: str, scratch: Path) -> Category:
    """Return a category of good images and a few of each defect class, none of which need lie in any layout.

    Args:
        good: what is normal.
        support: by defect class.
        name: of the category.
        scratch: an empty folder that arrays are written to as files, as they are.

    Raises:
        BadInput: as `named_pictures` does, for an empty class or its name, and for a picture in two classes.
    """
    for label in support:
        check_class_name(label)
    files = {label: _as_files(images, scratch / label) for label, images in {"good": good, **support}.items()}
    for label, paths in files.items():
        if not paths:
            raise BadInput(f"{label}: no pictures; give at least one")
    every = [path for paths in files.values() for path in paths]
    for path, times in Counter(every).items():
        if times > 1:
            raise BadInput(f"{path}: is given twice, in two classes; leave one out")
    root = Path(os_path.commonpath([path.parent for path in every]))
    relative = {label: tuple(path.relative_to(root).as_posix() for path in paths) for label, paths in files.items()}
    digests = digest_files(root, [path for paths in relative.values() for path in paths])
    category = Category(
        folder=root,
        name=name,
        train=relative.pop("good"),
        good=(),
        classes=relative,
        masks={},
        groups={},
        digests=digests,
    )
    return category.with_copies_grouped(digests)


def _read(pictures: Sequence[NamedPicture], prepare: Callable[[np.ndarray], T]) -> list[tuple[str, T | str]]:
    def read(picture: NamedPicture) -> T | str:
        try:
            pixels = picture.read()
        except BadInput as error:
            return str(error)
        return prepare(pixels)

    return [(picture.name, read(picture)) for picture in pictures]


def _images(array: np.ndarray) -> np.ndarray:
    """Return an array's images, uint8 [N, H, W, 3]."""
    images = array[None] if array.ndim == 3 else array
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3 or 0 in images.shape[1:]:
        raise BadInput(f"an array {array.dtype} {list(array.shape)}: expected RGB pictures, uint8 [N, H, W, 3]")
    return images


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        files = pictures_below(path)
        if (first := next(files, None)) is None:
            raise BadInput(f"{path}: no picture in it; expected {', '.join(sorted(IMAGE_SUFFIXES))}")
        yield first
        yield from files
    elif path.exists():
        yield path
    else:
        raise BadInput(f"{path}: no such file or folder")


def pictures_below(folder: Path) -> Iterator[Path]:
    """Yield the pictures in a folder and in its folders, in natural order; none if it is not there. Raises BadInput."""
    yield from (folder / name for name in image_files(folder, "."))
    for name in subfolders(folder):
        yield from pictures_below(folder / name)


def _as_files(pictures: Pictures, scratch: Path) -> list[Path]:
    """Return the files of pictures, each once; arrays become files of `scratch`."""
    files: list[Path] = []
    for picture in named_pictures(pictures):
        if picture.pixels is None:
            files.append(Path(picture.name).absolute())
            continue
        scratch.mkdir(parents=True, exist_ok=True)
        files.append(scratch / f"{picture.name}.png")
        Image.fromarray(picture.pixels).save(files[-1])
    return list(dict.fromkeys(files))
