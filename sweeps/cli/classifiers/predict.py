"""`fsamc predict`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import say
from sweeps.request import CacheOption, default_cache

ModelArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A classifier that `fsamc fit` wrote.")]
NetworkOption = Annotated[
    str | None, typer.Option("--backbone", metavar="FILE", help="Its network, where it is not found by itself.")
]


def predict(
    model: ModelArgument,
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE|FOLDER", help="Pictures, and folders of them.")],
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Also write a table.")] = None,
    jsonl: Annotated[Path | None, typer.Option("--jsonl", metavar="FILE", help="Also write JSON lines.")] = None,
    gallery: Annotated[Path | None, typer.Option("--gallery", metavar="FILE", help="Also write an HTML page.")] = None,
    overlays: Annotated[
        Path | None,
        typer.Option("--overlays", metavar="DIR", help="Also write the pictures with heat maps, PNG."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON lines, an object per picture.")] = False,
    alpha: Annotated[
        float, typer.Option("--alpha", help="Share of pictures of the classes that may be called unknown.")
    ] = 0.1,
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on with pictures that come into the folders, until Ctrl-C.")
    ] = False,
    backbone: NetworkOption = None,
    cache: CacheOption = None,
    address: Annotated[
        str | None, typer.Option("--address", help="A running Ray cluster, all of whose nodes see the pictures.")
    ] = None,
) -> None:
    """Name the defects in pictures.

    The answer is a class, `good` where there is no defect, or `unknown` where there is one of no class shown. Exit code
    1 where a picture could not be read and all others were answered.
    """
    from sweeps.classifiers.predicting import PredictRequest, check_words, predict_pictures, uncertain_line

    request = PredictRequest(
        model=model,
        images=images,
        table=csv,
        lines=jsonl,
        page=gallery,
        overlays=overlays,
        json=json,
        alpha=alpha,
        watch=watch,
        backbone=backbone,
        cache=cache or default_cache(),
        address=address,
    )
    check_words(request)
    from fsamc.classifier.classifier import DefectClassifier

    classifier = DefectClassifier.load(model, backbone=backbone, cache=request.cache)
    tally = predict_pictures(request, classifier, say)
    if not json:
        say(str(tally))
        if unsure := uncertain_line(classifier, alpha):
            say(f"note: {unsure}")
    sys.exit(tally.code)
