"""Inspection of a category before any work starts: every problem with its images, masks and folders."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from natsort import natsorted

from fsamc.config.features import Features
from fsamc.counting import counted
from fsamc.data.category import Category, load_category, mask_folder, scan_category
from fsamc.data.examination import Examined, examine_picture, exposure_problems, with_pictures_grouped
from fsamc.data.folders import OTHER_PICTURES, is_of_a_system, subfolders
from fsamc.data.groups import copies, read_groups
from fsamc.data.images import IMAGE_SUFFIXES, image_size, kept_share, read_mask
from fsamc.errors import BadInput
from fsamc.reading import Tell, read_each, silent

Size = tuple[int, int]

# Beside the images: what a category is made of, what every download carries, what systems leave behind.
_EXPECTED = ("train", "test", "ground_truth", "groups.csv")
_EXPECTED_3D = ("validation", "calibration")  # MVTec 3D AD, where an image's depth lies beside it
_EXPECTED_BESIDE_RGB = ("rgb", "xyz", "gt")
_HARMLESS = (".", "readme", "license", "licence", "thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class DataProblem:
    """One oddity: where, what, and whether it makes a sweep refuse or its numbers wrong."""

    path: str
    text: str
    serious: bool


@dataclass(frozen=True)
class FolderSummary:
    """One folder of images: how many, of how many groups, with how many masks, and the (height, width) met.

    `smallest` and `largest` are by area; None if no image has a readable header.
    """

    category: str
    part: str
    images: int
    groups: int
    masks: int
    smallest: Size | None
    largest: Size | None


def inspect_category(
    root: Path, name: str, features: Features, tell: Tell = silent
) -> tuple[Category | None, list[DataProblem]]:
    """Find every problem of a category by decoding all of its images and masks; None for one that cannot be loaded.

    `features` says what the network will see of an image, `tell` hears of each image. Raises BadInput only if there is
    no such folder.
    """
    scanned = scan_category(root, name)
    problems: list[DataProblem] = []
    category: Category | None = None
    try:
        category = load_category(root, name, tell)
    except BadInput as error:
        problems.append(DataProblem(name, str(error), True))
    examined = _examine(scanned, problems, tell)
    sizes = {path: (one.height, one.width) for path, one in examined.items()}
    problems += _layout(scanned)
    problems += _shapes(scanned, sizes, features)
    problems += _masks(scanned, sizes, features)
    for path, text in exposure_problems(examined):
        problems.append(DataProblem(path, text, serious=text.startswith("is nearly black")))
    if category:
        problems += _copies(category, examined)
        problems += _shared_groups(category)
        with suppress(BadInput):  # one picture in two classes, which has been told
            category = with_pictures_grouped(category, examined)
    return category, problems


def folder_summaries(category: Category) -> list[FolderSummary]:
    """Read counts and image sizes of `train/good`, `test/good` and each defect class from the files' headers."""
    parts = {"train/good": category.train, "test/good": category.good}
    parts |= {f"test/{name}": paths for name, paths in category.classes.items()}
    return [_row(category, part, paths) for part, paths in parts.items()]


def _row(category: Category, part: str, paths: Sequence[str]) -> FolderSummary:
    sizes: list[Size] = []
    for path in paths:
        try:
            sizes.append(image_size(category.folder / path))
        except BadInput:  # inspect_category names it
            continue
    by_area = sorted(sizes, key=lambda size: (size[0] * size[1], size))
    groups = len({category.group(path) for path in paths})
    masks = sum(path in category.masks for path in paths)
    ends = (by_area[0], by_area[-1]) if by_area else (None, None)
    return FolderSummary(category.name, part, len(paths), groups, masks, *ends)


def _examine(category: Category, problems: list[DataProblem], tell: Tell) -> dict[str, Examined]:
    """Decode the images; those that cannot be read become problems."""

    def look(path: str) -> Examined | BadInput:
        try:
            return examine_picture(category.folder / path)
        except BadInput as error:
            return error

    images = category.images
    results = dict(zip(images, read_each(look, images, f"looking at {category.name}", tell), strict=True))
    problems += [DataProblem(path, str(e), True) for path, e in results.items() if isinstance(e, BadInput)]
    return {path: one for path, one in results.items() if isinstance(one, Examined)}


def _layout(category: Category) -> Iterator[DataProblem]:
    """Empty folders, classes too small for a support image and a query, files that nothing reads."""
    names = subfolders(category.folder / "test")
    parts = ("train/good", *(f"test/{name}" for name in names))
    images = Counter(map(_part, category.images))
    for part in parts:
        count = images[part]
        if count == 0:
            yield DataProblem(part, "no images in it", part == "train/good")
        elif count == 1 and part not in ("train/good", "test/good"):
            yield DataProblem(part, "1 image: a class needs at least 2, a support image and a query", True)
    if len(category.classes) == 1:
        yield DataProblem("test", "1 defect class: there is nothing to tell apart, 2 are needed", True)
    yield from _strays(category, "", (*_EXPECTED, *_EXPECTED_3D))
    yield from _strays(category, "train", ("good",))
    yield from _strays(category, "test", names)
    in_rgb = {_part(path) for path in category.images if path.startswith(f"{_part(path)}/rgb/")}
    for part in parts:
        yield from _strays(category, part, _EXPECTED_BESIDE_RGB if part in in_rgb else ())
    for part in sorted(in_rgb):
        yield from _strays(category, f"{part}/rgb", ())


def _strays(category: Category, place: str, expected: Sequence[str]) -> Iterator[DataProblem]:
    """Yield what lies in the folder `place` and is neither used, nor `expected`, nor harmless."""
    folder, used = category.folder, {*category.images, *category.masks.values()}
    entries = sorted((folder / place).iterdir()) if (folder / place).is_dir() else []
    for entry in entries:
        path = entry.relative_to(folder).as_posix()
        name = entry.name.lower()
        if path in used or name in expected or entry.name in expected or name.startswith(_HARMLESS):
            continue
        if is_of_a_system(entry.name):
            continue
        kind = "folder" if entry.is_dir() else "image" if entry.suffix.lower() in IMAGE_SUFFIXES else "file"
        if entry.suffix.lower() in OTHER_PICTURES:
            kind = f"picture of a format that is not read ({entry.suffix.lower()[1:]})"
        yield DataProblem(path, f"stray {kind}, not used", False)


def _shapes(category: Category, sizes: Mapping[str, Size], features: Features) -> Iterator[DataProblem]:
    shapes = Counter(sizes.values())
    if len(shapes) > 1:
        (height, width), count = shapes.most_common(1)[0]
        text = f"{len(shapes)} image sizes; the most common, {height} x {width}, has {count} of {len(sizes)} images"
        yield DataProblem(category.name, text, False)
    oblong = sum(count for (height, width), count in shapes.items() if height != width)
    if features.fit == "crop" and oblong:
        text = f"{oblong} of {len(sizes)} images are not square: features.fit: crop cuts their ends off"
        yield DataProblem(category.name, text, False)


def _masks(category: Category, sizes: Mapping[str, Size], features: Features) -> Iterator[DataProblem]:
    """Masks that are missing, unreadable, empty or of another size, and defects that the crop does not show."""

    def share(path: str) -> float | DataProblem:
        return _kept(category, path, sizes.get(path), features)

    for name, paths in category.classes.items() if category.masks else ():
        masked = [path for path in paths if path in category.masks]
        if missing := len(paths) - len(masked):
            yield DataProblem(mask_folder(name, paths), f"{missing} of {len(paths)} images have no mask", False)
        results = list(read_each(share, masked))
        yield from (result for result in results if isinstance(result, DataProblem))
        kept = [result for result in results if not isinstance(result, DataProblem)]
        wholly, mostly = sum(x == 0 for x in kept), sum(0 < x < 0.5 for x in kept)
        if wholly or mostly:
            text = f"of {len(kept)} defects {wholly} lie wholly and {mostly} more than half outside the centre crop"
            yield DataProblem(f"test/{name}", f"{text}; features.fit: squash shows them", wholly > 0)


def _kept(category: Category, path: str, size: Size | None, features: Features) -> float | DataProblem:
    """Share of an image's defect that the network sees, or what is wrong with its mask."""
    file = category.masks[path]
    try:
        mask = read_mask(category.folder / file)
    except BadInput as error:
        return DataProblem(file, str(error), False)
    height, width = mask.shape
    if size and size != (height, width):
        return DataProblem(file, f"mask is {height} x {width}, its image {size[0]} x {size[1]}", False)
    if not mask.any():
        return DataProblem(file, "mask marks nothing", False)
    return kept_share(mask, features)


def _copies(category: Category, examined: Mapping[str, Examined]) -> Iterator[DataProblem]:
    """Yield copies of one picture; serious where the bank and the queries would share it, or it is in two classes."""
    for first, *others in copies({path: one.pixels for path, one in examined.items()}):
        parts = {_part(path) for path in (first, *others)}
        same = "file" if len({category.digests[path] for path in (first, *others)}) == 1 else "picture"
        label = first.split("/")[1]
        remedy = "" if all(path.split("/")[1] == label for path in others) else ": one class must be wrong; remove it"
        yield DataProblem(first, f"the same {same} as {', '.join(others)}{remedy}", len(parts) > 1)


def _shared_groups(category: Category) -> Iterator[DataProblem]:
    """Yield groups of `groups.csv` with images in more than one folder."""
    parts: dict[str, set[str]] = defaultdict(set)
    for path, group in read_groups(category.folder, category.images).items():
        parts[group].add(_part(path))
    for where, count in Counter(tuple(natsorted(x)) for x in parts.values() if len(x) > 1).items():
        shared = f"{counted(count, 'group', 'are')} in {' and '.join(where)}"
        text = f"{shared}: support from one leaves out their images in the other"
        yield DataProblem("groups.csv", text, False)


def _part(path: str) -> str:
    """`train/good` or `test/CLASS` of an image, which may lie in a folder `rgb` there."""
    return "/".join(path.split("/")[:2])
