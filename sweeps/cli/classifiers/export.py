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
            help="Photos and good images on which both must agree; by default those that it has learnt from.",
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
    with console.status("exporting") as status:
        try:
            agreement = export_classifier(classifier, out, check, tell=status.update)
        except Differs as error:
            raise Unfinished(str(error)) from error
    counts = ", ".join(counted(count, kind) for kind, count in agreement.pictures.items())
    size = f"{out.stat().st_size / 1e6:.1f} MB"
    say(f"{out}: {size}; labels equal and probabilities within {agreement.apart:.1e} on {counts}")
    if agreement.empty:
        some = counted(len(agreement.empty), "picture")
        say(f"{some} of these lie in the bank as they are, so nothing in them is named: both find no anomaly")
