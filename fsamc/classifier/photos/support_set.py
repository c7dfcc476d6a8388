"""Support images of a classifier, as its head sees them: what a class is the mean of, and what an answer points to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

import numpy as np

from fsamc.errors import BadInput


@dataclass(frozen=True)
class Photo:
    """One support image.

    Attributes:
        name: its path below its category, or so much of its path as tells it from others.
        label: its defect class.
        digest: hash of its file's bytes, or of an array's.
        thumbnail: a small JPEG, for people.
    """

    name: str
    label: str
    digest: str
    thumbnail: bytes


def photo_names(paths: Sequence[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Name pictures: in the layout of sweeps by their path below the category, else by their folder and their file.

    Where two would be called the same, or have a name that is taken, more of the folders is told.
    """
    names: dict[str, str] = {}
    for path in paths:
        parts = PurePath(path).parts
        tails = ["/".join(parts[-count:]) for count in range(2, len(parts) + 1)]
        alone = (tail for tail in tails if tail not in taken and sum(_ends(other, tail) for other in paths) == 1)
        names[path] = path if parts[0] in ("train", "test") and path not in taken else next(alone, path)
    return names


def _ends(path: str, tail: str) -> bool:
    return f"/{path}".endswith(f"/{tail}")


@dataclass(frozen=True)
class SupportSet:
    """Photos of all classes and what the head makes of them; never changed, but copied with a change.

    Attributes:
        photos: n of them.
        encoded: float32 [n, ...], what `Head.encode` returns for each.
    """

    photos: tuple[Photo, ...]
    encoded: np.ndarray

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels, in the order in which they first came."""
        return tuple(dict.fromkeys(photo.label for photo in self.photos))

    @property
    def labels(self) -> np.ndarray:
        """Position of each photo's class among `classes`, int64 [n]."""
        return np.array([self.classes.index(photo.label) for photo in self.photos], np.int64)

    def by_class(self, *, without: int | None = None) -> list[np.ndarray]:
        """Return what the head makes of each class's photos, [S_c, ...]; of all but the copies of one photo."""
        kept = np.ones(len(self.photos), bool)
        if without is not None:
            kept = np.array([photo.digest != self.photos[without].digest for photo in self.photos])
        return [self.encoded[kept & (self.labels == label)] for label in range(len(self.classes))]

    def added(self, photos: Sequence[Photo], encoded: np.ndarray) -> SupportSet:
        """Add photos. Raises BadInput for one that is there already."""
        names = {photo.digest: photo for photo in self.photos}
        for photo in photos:
            if photo.digest in names:
                there = names[photo.digest]
                raise BadInput(f"{photo.name}: is in class {there.label} already, as {there.name}; remove that first")
            names[photo.digest] = photo
        return SupportSet((*self.photos, *photos), np.concatenate([self.encoded, encoded]))

    def removed(self, name: str) -> SupportSet:
        """Take out a class, or one photo. Raises BadInput if there is neither, or fewer than two classes are left."""
        kept = [row for row, photo in enumerate(self.photos) if name not in (photo.label, photo.name)]
        if len(kept) == len(self.photos):
            raise BadInput(
                f"{name}: no class and no photo of this classifier; its classes are {', '.join(self.classes)}"
            )
        fewer = SupportSet(tuple(self.photos[row] for row in kept), self.encoded[kept])
        if len(fewer.classes) < 2:
            raise BadInput(f"{name}: cannot be removed, 2 classes are needed and {len(fewer.classes)} would be left")
        return fewer

    def renamed(self, old: str, new: str) -> SupportSet:
        """Give a class another name; that of another class merges the two. Raises BadInput if there is no class."""
        if old not in self.classes:
            raise BadInput(f"{old}: no class of this classifier; its classes are {', '.join(self.classes)}")
        photos = tuple(replace(photo, label=new) if photo.label == old else photo for photo in self.photos)
        renamed = SupportSet(photos, self.encoded)
        if len(renamed.classes) < 2:
            raise BadInput(f"{old}: renaming it {new} would leave one class, and 2 are needed")
        return renamed
