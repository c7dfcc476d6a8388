"""`fsamc add`, `remove` and `rename`: photos and classes of a classifier's file, without fitting it anew."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sweeps.cli.classifiers.predict import ModelArgument, NetworkOption
from sweeps.cli.options import say
from sweeps.request import CacheOption, default_cache

if TYPE_CHECKING:
    from fsamc.classifier.classifier import DefectClassifier

ClassArgument = Annotated[str, typer.Argument(metavar="CLASS", help="A defect class.")]


def add(
    model: ModelArgument,
    label: Annotated[str, typer.Argument(metavar="CLASS", help="Their defect class, one that is there or a new one.")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER", help="Photos, and folders of them.")],
    backbone: NetworkOption = None,
    cache: CacheOption = None,
) -> None:
    """Add photos of a defect class to a classifier.

    A picture that was named wrongly is corrected so. Heads that are trained on all photos at once are fitted again
    instead.
    """
    _change(model, backbone, cache, lambda classifier: classifier.add(label, images))


def remove(
    model: ModelArgument,
    name: Annotated[
        str, typer.Argument(metavar="CLASS|PHOTO", help="A defect class, or a photo as `fsamc info` names it.")
    ],
    backbone: NetworkOption = None,
    cache: CacheOption = None,
) -> None:
    """Remove a defect class or a photo from a classifier."""
    _change(model, backbone, cache, lambda classifier: classifier.remove(name))


def rename(
    model: ModelArgument,
    old: ClassArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="Its new name; that of another class joins the two.")],
    backbone: NetworkOption = None,
    cache: CacheOption = None,
) -> None:
    """Rename a defect class of a classifier, or join two."""
    _change(model, backbone, cache, lambda classifier: classifier.rename(old, new))


def _change(
    model: Path, backbone: str | None, cache: Path | None, change: Callable[[DefectClassifier], object]
) -> None:
    """Read a classifier, change it, and write it whole in its place."""
    from fsamc.classifier.model_file import read_model
    from sweeps.classifiers.described import accuracy_lines, classes_line

    read_model(model)  # a file that is none is told before torch is loaded
    from fsamc.classifier.classifier import DefectClassifier

    classifier = DefectClassifier.load(model, backbone=backbone, cache=cache or default_cache())
    change(classifier)
    classifier.save(model)
    record, _ = read_model(model)
    say(f"classes    {classes_line(record)}")
    for line in accuracy_lines(record.scored, len(record.photos)):
        say(line)
