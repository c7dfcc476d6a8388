"""Pictures that an export is compared on with its classifier: the support's photos, and good images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.photos.learnt_pictures import GOOD
from fsamc.classifier.pictures import NamedPicture, Pictures, named_pictures
from fsamc.counting import counted
from fsamc.data.pictures.decoding import picture_digest
from fsamc.errors import BadInput

Kind = Literal["photo", "good image", "other picture"]
_MEND = "give --check FOLDER with the photos and with good images, in a folder named good"


@dataclass(frozen=True)
class ComparedPictures:
    """Pictures, unread.

    Attributes:
        pictures: in order.
        kinds: what each is.
    """

    pictures: tuple[NamedPicture, ...]
    kinds: tuple[Kind, ...]

    def count(self) -> Counter[Kind]:
        """Count them by what they are."""
        return Counter(self.kinds)


def compared_pictures(classifier: DefectClassifier, pictures: Pictures | None) -> ComparedPictures:
    """Find what to compare on.

    Args:
        classifier: fitted, or loaded.
        pictures: given by the user; None takes the photos and the good images that were held out for the threshold,
            where this machine has fitted the classifier.

    Raises:
        BadInput: one is not there or has changed, none is a photo, or none is a good image.
    """
    if pictures is None:
        named = [NamedPicture(path) for path in (*_photos(classifier), *_good(classifier))]
    else:
        named = list(named_pictures(pictures))
    kinds = tuple(_kind(classifier, picture) for picture in named)
    if all(picture.pixels is None for picture in named):  # of arrays the caller knows
        _check_kinds(named, kinds)
    return ComparedPictures(tuple(named), kinds)


def _photos(classifier: DefectClassifier) -> Iterator[str]:
    """Yield the files of the photos. Raises BadInput for one that is not there, or is another by now."""
    for photo in classifier.photos:
        path = _place(classifier, photo.digest)
        if path is None:
            raise BadInput(
                f"{photo.name}: the photo is not where this machine knows it, and an export is compared with its "
                f"classifier; {_MEND}"
            )
        yield path


def _good(classifier: DefectClassifier) -> Iterator[str]:
    """Yield the files of good images, of those that are there."""
    places = (_place(classifier, image.digest) for image in classifier.learnt.held_out)
    yield from (path for path in places if path is not None)


def _place(classifier: DefectClassifier, digest: str) -> str | None:
    path = classifier.learnt.places.get(digest)
    there = path is not None and Path(path).is_file() and picture_digest(Path(path).read_bytes()) == digest
    return path if there else None


def _check_kinds(pictures: Sequence[NamedPicture], kinds: Sequence[Kind]) -> None:
    for kind, what in (("photo", "a photo that the classifier was fitted to"), ("good image", "a good image")):
        if kind not in kinds:
            folder = Path(pictures[0].name).parent
            raise BadInput(f"{folder}: none of {counted(len(pictures), 'picture')} is {what}; {_MEND}")


def _kind(classifier: DefectClassifier, picture: NamedPicture) -> Kind:
    if picture.pixels is not None:
        return "other picture"
    path = Path(picture.name)
    content = picture_digest(path.read_bytes())
    if content in {photo.digest for photo in classifier.photos}:
        return "photo"
    good = content in {one.digest for one in classifier.learnt.held_out} or GOOD in path.absolute().parts[-3:-1]
    return "good image" if good else "other picture"
