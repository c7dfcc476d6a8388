"""`fsamc info`."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeps.cli.classifiers.predict import ModelArgument
from sweeps.cli.options import say


def info(
    model: ModelArgument,
    photos: Annotated[bool, typer.Option("--photos", help="Also list its photos, by class.")] = False,
    json: Annotated[bool, typer.Option("--json", help="An object: all of it, with configuration and photos.")] = False,
) -> None:
    """Say what a classifier's file holds.

    Its classes and photos, its network, its threshold, how it scored, and when it was written.
    """
    from json import dumps

    from fsamc.classifier.model_file import read_model
    from sweeps.classifiers.described import as_object, described

    record, _ = read_model(model)
    if json:
        typer.echo(dumps(as_object(record, model), indent=2))
        return
    for line in described(record, model):
        say(line)
    for photo in record.photos if photos else ():
        say(f"photo      {photo.label}  {photo.name}")
