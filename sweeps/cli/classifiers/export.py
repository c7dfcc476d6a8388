"""`fsamc export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.classifiers.predict import ModelArgument, NetworkOption
from sweeps.cli.options import console, say
from sweeps.request import CacheOption


def export(
    model: ModelArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="bolt.onnx, or bolt.pt2 for a program of torch.export.")],
    check: Annotated[
        Path | None,
        typer.Option(
            "--check",
            metavar="FOLDER",
            help="Pictures on which both must agree: the photos and good images; the photos by default.",
        ),
    ] = None,
    backbone: NetworkOption = None,
    cache: CacheOption = None,
) -> None:
    """Write a classifier as an ONNX file, or a program of torch.

    The file is written only if it answers as the classifier does: equal labels, and probabilities within 0.0001.
    """
    from fsamc.classifier.classifier import DefectClassifier
    from fsamc.classifier.export.export import Differs, export_classifier
    from fsamc.classifier.export.file_formats import format_of
    from fsamc.counting import counted
    from sweeps.errors import Unfinished

    format_of(out.suffix)
    classifier = DefectClassifier.load(model, backbone=backbone, cache=cache)
    with console.status("exporting, and comparing answers"):
        try:
            agreement = export_classifier(classifier, out, check)
        except Differs as error:
            raise Unfinished(str(error)) from error
    say(
        f"{out}: {out.stat().st_size / 1e6:.1f} MB; labels equal and probabilities within {agreement.apart:.1e} on "
        f"{counted(agreement.pictures, 'picture')}, {agreement.photos} of them its photos"
    )
