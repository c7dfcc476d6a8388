"""Examination of pictures: every one decoded once, its size, a hash of its pixels, and what is wrong with its exposure.

So unreadable pictures, copies of a picture in other files, and cameras' 12 bits in 16 are known before work starts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import xxhash

from fsamc.data.category import Category
from fsamc.data.images import read_pixels
from fsamc.data.textures import Textures
from fsamc.reading import Tell, read_each, silent


class Examined(NamedTuple):
    """One picture: height and width in pixels, hash of size and uint8 RGB values, its exposure's problem or None."""

    height: int
    width: int
    pixels: str
    problem: str | None


def examine_picture(file: Path, digest: str | None = None) -> Examined:
    """Decode a picture. `digest` is that of its bytes when it was listed. Raises BadInput as `read_pixels` does."""
    pixels = read_pixels(file, digest)
    image = pixels.rgb()
    height, width, _ = image.shape
    hashed = xxhash.xxh3_128(image.data)
    hashed.update(f"{height} x {width}".encode())
    return Examined(height, width, hashed.hexdigest(), pixels.exposure_problem())


def examine_all(images: Category | Textures, tell: Tell = silent) -> dict[str, Examined]:
    """Decode every image; `tell` hears of each.

    Raises BadInput for the first, in path order, that cannot be read or has changed.
    """

    def examine(path: str) -> Examined:
        return examine_picture(images.folder / path, images.digests[path])

    paths = images.images
    return dict(zip(paths, read_each(examine, paths, f"looking at {images.folder.name}", tell), strict=True))


def with_pictures_grouped(category: Category, examined: Mapping[str, Examined] | None = None) -> Category:
    """Return the category with images that are the same picture, pixel for pixel, as one group, as a sweep has it.

    `examined`: as `examine_all` gives it; by default every image is decoded, about 2 to 10 ms each.

    Raises BadInput as `examine_all` does, and for a picture that is in two classes.
    """
    examined = examined or examine_all(category)
    return category.with_copies_grouped({path: one.pixels for path, one in examined.items()})


def exposure_problems(examined: Mapping[str, Examined]) -> Iterator[tuple[str, str]]:
    """Yield the first image of each folder with each kind of problem, and a line on it and those like it."""
    kinds: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for path, one in examined.items():
        if one.problem:
            kinds[path.rpartition("/")[0], one.problem.partition(":")[0]].append((path, one.problem))
    for (path, text), *others in kinds.values():
        yield path, f"{text}; so are {len(others)} more in its folder" if others else text
