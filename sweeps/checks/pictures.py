"""Pictures of a sweep: each decoded once per content, copies in one group, and what people should know of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fsamc.counting import counted
from fsamc.data.category import Category
from fsamc.data.examination import Examined, examine_all, exposure_problems, with_pictures_grouped
from fsamc.data.folders import other_pictures
from fsamc.data.groups import copies
from fsamc.data.textures import Textures
from fsamc.reading import Tell, silent
from fsamc.store.digests import digest
from fsamc.store.store import Store

_KIND = "examined"


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """All pictures of a sweep, examined.

    Attributes:
        categories: as loaded, with images that are the same picture in one group.
        examined: what is to be remembered once the sweep writes: JSON by `KIND/KEY` of the store.
        warnings: one line each.
        caveats: what must stand beside every number.
    """

    categories: dict[str, Category]
    examined: dict[str, str]
    warnings: tuple[str, ...]
    caveats: tuple[str, ...]


def examine_pictures(
    categories: Mapping[str, Category], textures: Textures | None, store: Store, tell: Tell = silent
) -> Pictures:
    """Decode every image once per content: a truncated file must not stop a sweep in the night.

    Raises BadInput for the first that cannot be read, and for a picture that is in two classes.
    """
    remembered: dict[str, str] = {}
    grouped: dict[str, Category] = {}
    warnings: list[str] = []
    caveats: list[str] = []
    for name, category in categories.items():
        examined = _examined(category, store, remembered, tell)
        grouped[name] = with_pictures_grouped(category, examined)
        warnings += [f"{category.folder / path} {problem}" for path, problem in exposure_problems(examined)]
        caveats += _copies(category, {path: one.pixels for path, one in examined.items()})
    if textures is not None:
        _examined(textures, store, remembered, tell)
    return Pictures(categories=grouped, examined=remembered, warnings=tuple(warnings), caveats=tuple(caveats))


def overlooked(categories: Iterable[Category]) -> Iterator[str]:
    """Yield a line for pictures that lie beside those that are read, in another format."""
    for category in categories:
        parts = ["train/good", "test/good", *(f"test/{name}" for name in category.classes)]
        others = [path for part in parts for path in other_pictures(category.folder, part)]
        if others:
            formats = ", ".join(sorted({Path(path).suffix[1:].lower() for path in others}))
            yield (
                f"{category.name}: {counted(len(others), 'picture')} of formats that are not read ({formats}), "
                f"the first {category.folder / others[0]}; save them as png or jpg"
            )


def remember_pictures(examined: Mapping[str, str], store: Store) -> None:
    """Keep what the examination gave, so that the next sweep on these images starts at once."""
    for name, text in examined.items():
        kind, key = name.split("/")
        store.put_text(kind, key, text)


def contents(images: Category | Textures) -> str:
    """Hash of the images' paths and contents."""
    return digest(sorted(images.digests.items()))


def _examined(images: Category | Textures, store: Store, remembered: dict[str, str], tell: Tell) -> dict[str, Examined]:
    key = contents(images)
    text = store.get_text(_KIND, key)
    if text is None:
        examined = examine_all(images, tell)
    else:
        examined = {path: Examined(*one) for path, one in json.loads(text).items()}
    remembered[f"{_KIND}/{key}"] = json.dumps(examined)
    return examined


def _copies(category: Category, pixels: Mapping[str, str]) -> Iterator[str]:
    same = copies(pixels)
    if same:
        count, first = sum(len(paths) - 1 for paths in same), same[0]
        copied = "is a copy of another" if count == 1 else "are copies of others"
        yield (
            f"{category.name}: {count} of {len(pixels)} images {copied}, such as {first[1]} of {first[0]}; "
            "copies count as one group, never on both sides"
        )
