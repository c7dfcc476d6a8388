"""Categories from folders in MVTec layout, and the choice of their support and query images.

Two layouts are known, also mixed: MVTec AD's has the images of a class in its folder and their masks below
`ground_truth`; MVTec 3D AD's has them in folders `rgb` and `gt` within. The latter's depth (`xyz`) and its
`validation` images are not read: the paper's method takes RGB images, and chooses nothing on good images held out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import xxhash

from fsamc.counting import counted
from fsamc.data.folders import composed, digest_files, image_files, subfolders
from fsamc.data.groups import check_contradictions, copies, joined, read_groups
from fsamc.errors import BadInput
from fsamc.reading import Tell, silent
from fsamc.seeds import numpy_generator

PathsByClass = dict[str, tuple[str, ...]]

_GOOD = ("good", "ok", "okay", "normal", "defect-free", "defect_free", "no_defect", "no defect")


@dataclass(frozen=True, kw_only=True)
class Category:
    """One product: paths and content hashes, no pixels. All paths are relative to `folder`, with `/`.

    Attributes:
        train: good images that the bank is built from (`train/good`).
        good: good images to test on (`test/good`); may be empty.
        classes: images per defect class (`test/<class>`), names and images in natural order.
        masks: image -> mask of its defect, where there is one.
        groups: image -> name of the physical part it shows, where `groups.csv` says so or there are copies of it.
        digests: image -> hash of the file's bytes (xxh3, 128 bits).
        halved: draws choose from the first half of each class's groups, rounded up, and the queries are the other half,
            the same for all draws; the protocol of MVREC (AAAI 2025).
        held: groups that are kept for the final: no draw chooses from them, and their images are no queries.
        final: the queries are the images of `held`, and no others.
    """

    folder: Path
    name: str
    train: tuple[str, ...]
    good: tuple[str, ...]
    classes: PathsByClass
    masks: dict[str, str]
    groups: dict[str, str]
    digests: dict[str, str]
    halved: bool = False
    held: frozenset[str] = frozenset()
    final: bool = False

    @property
    def defects(self) -> tuple[str, ...]:
        """The images of all defect classes, class by class."""
        return tuple(path for paths in self.classes.values() for path in paths)

    @property
    def images(self) -> tuple[str, ...]:
        """Every image: train, good, defects."""
        return self.train + self.good + self.defects

    @cached_property
    def fingerprint(self) -> str:
        """Hash of everything that a fold's result can depend on: name, paths, contents and groups; not of `folder`."""
        parts = (
            self.name,
            self.train,
            self.good,
            list(self.classes.items()),
            sorted(self.groups.items()),
            self.digests,
            *(["halved"] if self.halved else []),
            *([["final" if self.final else "held", sorted(self.held)]] if self.held else []),
        )
        return xxhash.xxh3_128_hexdigest(json.dumps(parts).encode())

    def with_classes(self, *, good: bool) -> Category:
        """Return the category, or with `good` (its images from `test/good`) as the first of its classes (table 12).

        Raises BadInput if there is no image in `test/good`.
        """
        if not good or "good" in self.classes:
            return self
        if not self.good:
            raise BadInput(f"{self.folder / 'test' / 'good'}: no images, but `good` is to be a class; set good=false")
        return replace(self, good=(), classes={"good": self.good, **self.classes})

    def with_copies_grouped(self, contents: Mapping[str, str]) -> Category:
        """Return the category with images of the same content (image -> hash of bytes or pixels) as one group.

        So a copy of a support image is no query. Raises BadInput for a picture that is in two classes.
        """
        same = copies(contents)
        labels = dict.fromkeys(self.train + self.good, "good")
        labels |= {path: name for name, paths in self.classes.items() for path in paths}
        check_contradictions(self.folder, same, labels)
        return replace(self, groups=joined(self.groups, same)) if same else self

    def group(self, path: str) -> str:
        """Return the physical part an image shows; an image that is in no group is its own."""
        return self.groups.get(path, path)

    def support(self, shots: int, draw: int = 0, *, files: Sequence[str] = ()) -> PathsByClass:
        """Choose `shots` images per defect class.

        Draw 0 takes the first images of distinct groups; draw d >= 1 distinct groups at random and one image of each,
        seeded by (category, class, d) alone, so that fewer shots are the beginning of more. `files`, a list of
        `CATEGORY/test/CLASS/IMAGE`, replaces both; entries of other categories are skipped.

        Raises BadInput if a class has too few groups, or `files` does not name `shots` known images of each class.
        """
        if files:
            return self._listed(shots, draw, files)
        chosen = {name: tuple(self._one_per_group(name, draw)[:shots]) for name in self.classes}
        for name, paths in chosen.items():
            if len(paths) < shots:
                has, need = counted(len(paths), "group"), counted(shots, "shot", "need")
                raise BadInput(f"{self.name}: class {name} has {has}, {need} {shots}")
        return chosen

    def queries(self, shots: int, draw: int = 0, *, files: Sequence[str] = ()) -> PathsByClass:
        """Return per defect class the images of no group that is in the support, nor in a half that is drawn from."""
        taken = self._support_groups(shots, draw, files)
        if self.halved:
            taken |= {group for name in self.classes for group in self._drawn_from(name)}
        asked = {group for group in map(self.group, self.defects) if (group in self.held) == self.final} - taken
        return {
            name: tuple(path for path in paths if self.group(path) in asked) for name, paths in self.classes.items()
        }

    def excluded(self, shots: int, draw: int = 0, *, files: Sequence[str] = ()) -> tuple[str, ...]:
        """Return the defect images that are neither: not support, but of a group that is, whatever its class."""
        support = {path for paths in self.support(shots, draw, files=files).values() for path in paths}
        taken = self._support_groups(shots, draw, files)
        return tuple(path for path in self.defects if self.group(path) in taken and path not in support)

    def problem(
        self,
        shots: int,
        draw: int = 0,
        *,
        files: Sequence[str] = (),
        scored_by: Literal["queries", "support"] = "queries",
    ) -> str | None:
        """Return why this category gives no fold at so many shots, in one line; None if it does.

        `scored_by`: what the fold's accuracy is over. On the support no query is needed.
        """
        if len(self.classes) < 2:
            has = counted(len(self.classes), "defect class")
            return f"{self.name}: {has} ({', '.join(self.classes)}), 2 are needed"
        queries = scored_by == "queries"
        extra = queries and not (self.halved or self.final)  # whose queries are not drawn from
        needed, choice = shots + extra, " to draw from" if self.halved or self.held else ""
        need = f"{counted(shots, 'shot')} and a query need" if extra else counted(shots, "shot", "need")
        for name, paths in self.classes.items():
            groups = len(self._drawn_from(name))
            if groups < needed and not files:
                has = f"{counted(len(paths), 'image')} of {counted(groups, 'group')}{choice}"
                return f"{self.name}: class {name} has {has}, {need} {counted(needed, 'group')}"
        support = self.support(shots, draw, files=files)
        for name, paths in (self.queries(shots, draw, files=files) if queries else self.apart(support)).items():
            if not paths:
                left = "query left" if queries else "support image to leave out"
                return f"{self.name}: class {name} has no {left}: all its images share groups with the support"
        return None

    def apart(self, support: PathsByClass) -> PathsByClass:
        """List support images that can be left out in turn: no other shows their part, but one left out with them.

        The k-th images of all classes are left out together.
        """
        places: dict[str, set[int]] = {}
        for paths in support.values():
            for k, path in enumerate(paths):
                places.setdefault(self.group(path), set()).add(k)
        return {
            name: tuple(path for path in paths if len(places[self.group(path)]) == 1) for name, paths in support.items()
        }

    def _drawn_from(self, name: str) -> dict[str, list[str]]:
        """Return the groups of a class that its support is drawn from, and their images."""
        members: dict[str, list[str]] = {}
        for path in self.classes[name]:
            if (group := self.group(path)) not in self.held:
                members.setdefault(group, []).append(path)
        return dict(list(members.items())[: -(-len(members) // 2)]) if self.halved else members

    def _one_per_group(self, name: str, draw: int) -> list[str]:
        groups = list(self._drawn_from(name).values())
        if draw == 0:
            return [paths[0] for paths in groups]
        generator = numpy_generator("support", self.name, name, draw)
        shuffled = [groups[i] for i in generator.permutation(len(groups))]
        return [paths[generator.integers(len(paths))] for paths in shuffled]

    def _listed(self, shots: int, draw: int, files: Sequence[str]) -> PathsByClass:
        if draw:
            raise BadInput(f"support.files is one fixed choice, found draw {draw}: set folds.draws to [0]")
        by_name = {composed(path): path for path in self.defects}
        parts = (file.partition("/") for file in files)
        ours = [by_name.get(composed(path), path) for name, _, path in parts if composed(name) == composed(self.name)]
        if unknown := next((path for path in ours if path not in by_name.values()), None):
            raise BadInput(f"support.files: {self.name}/{unknown} is no defect image of this category; correct it")
        if len(set(ours)) < len(ours):
            raise BadInput(f"support.files names an image of {self.name} twice; leave one out")
        chosen = {name: tuple(path for path in ours if path in paths) for name, paths in self.classes.items()}
        for name, listed in chosen.items():
            if len(listed) != shots:
                names, need = counted(len(listed), "image"), counted(shots, "shot", "need")
                raise BadInput(f"support.files names {names} of {self.name}/test/{name}, {need} {shots}")
        return chosen

    def _support_groups(self, shots: int, draw: int, files: Sequence[str]) -> set[str]:
        return {self.group(path) for paths in self.support(shots, draw, files=files).values() for path in paths}


def leave_one_out(support: PathsByClass) -> Iterator[tuple[PathsByClass, PathsByClass]]:
    """Yield, for k = 1 to n, the k-th support image of every class, left out, and the n - 1 others."""
    for k in range(min(map(len, support.values()))):
        left_out: PathsByClass = {name: (paths[k],) for name, paths in support.items()}
        yield left_out, {name: (*paths[:k], *paths[k + 1 :]) for name, paths in support.items()}


def load_category(root: str | Path, name: str, tell: Tell = silent) -> Category:
    """Load the category `name` of a DATA folder, its files hashed; files of the same bytes are one group.

    Nothing is decoded: that takes ten times as long, and a sweep's cache remembers it. Where pictures may have been
    saved anew, `fsamc.data.examination.with_pictures_grouped` also groups those that are equal pixel for pixel.

    Raises BadInput if the layout is not MVTec's, `train/good` is empty, good images have another name (`test/ok`),
    there is no defect class, the name is `average`, `groups.csv` is wrong, a file cannot be opened, or is
    in two classes.
    """
    category = scan_category(Path(root), name)
    if name == "average":
        raise BadInput(f"{category.folder}: a category may not be called average, the row of means is; rename it")
    _check_names_of_good(category)
    if not category.train:
        raise BadInput(f"{category.folder / 'train' / 'good'}: no images; expected the good images of {name} there")
    if not category.classes:
        raise BadInput(f"{category.folder / 'test'}: no defect class; expected a folder of images per class")
    digests = digest_files(category.folder, category.images, f"hashing {name}", tell)
    loaded = replace(category, groups=read_groups(category.folder, category.images), digests=digests)
    return loaded.with_copies_grouped(digests)


def scan_category(root: Path, name: str) -> Category:
    """List a category's folders, unchecked, without groups and digests. Raises BadInput if it is no folder."""
    folder = root / name
    if not folder.is_dir():
        raise BadInput(f"{folder}: no such folder; expected a category with train/good and test/CLASS")
    folders = {label: _images(folder, f"test/{label}") for label in subfolders(folder / "test") if label != "good"}
    classes = {label: paths for label, paths in folders.items() if paths}
    masks = {path: mask for label in classes for path, mask in _masks(folder, label, classes[label]).items()}
    return Category(
        folder=folder,
        name=name,
        train=_images(folder, "train/good"),
        good=_images(folder, "test/good"),
        classes=classes,
        masks=masks,
        groups={},
        digests={},
    )


def mask_folder(name: str, images: Sequence[str]) -> str:
    """Return where the masks of a class's images lie: below `ground_truth`, or beside a folder `rgb`."""
    return f"test/{name}/gt" if images[0].startswith(f"test/{name}/rgb/") else f"ground_truth/{name}"


def _check_names_of_good(category: Category) -> None:
    """Raise BadInput for folders whose names say that they hold good images, but are not `good`."""
    for part in ("train", "test"):
        for name in subfolders(category.folder / part):
            if name != "good" and name.casefold() in _GOOD:
                folder = category.folder / part
                raise BadInput(f"{folder / name}: good images are expected in {folder / 'good'}; rename the folder")


def _images(folder: Path, part: str) -> tuple[str, ...]:
    """List the images directly in a part's folder, or if there are none in its folder `rgb`."""
    return image_files(folder, part) or image_files(folder, f"{part}/rgb")


def _masks(folder: Path, name: str, images: Sequence[str]) -> dict[str, str]:
    """Map images to masks: `<stem>_mask.png` as in MVTec AD, or `<stem>.png`."""
    by_stem = {composed(Path(path).stem): path for path in image_files(folder, mask_folder(name, images))}
    stems = ((path, composed(Path(path).stem)) for path in images)
    pairs = ((path, by_stem.get(f"{stem}_mask") or by_stem.get(stem)) for path, stem in stems)
    return {path: mask for path, mask in pairs if mask}
