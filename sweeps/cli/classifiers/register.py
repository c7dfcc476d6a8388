"""`fsamc register`."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeps.cli.classifiers.predict import ModelArgument, NetworkOption
from sweeps.cli.options import console, say
from sweeps.request import CacheOption


def register(
    model: ModelArgument,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Of the registered model.")],
    tracking_uri: Annotated[
        str | None,
        typer.Option(help="MLflow tracking URI; by default that of the sweep whose results FILE lies in."),
    ] = None,
    backbone: NetworkOption = None,
    cache: CacheOption = None,
) -> None:
    """Register a classifier in MLflow as a model's next version.

    Its source is the run of the trial that it was fitted by, where it lies in a sweep's results, else a run of its own.
    """
    from fsamc.data.credentials import hide_secrets
    from sweeps.registry.register import register as to_registry

    with console.status("loading the classifier, and having MLflow try it"):
        there = to_registry(model, name, uri=tracking_uri, backbone=backbone, cache=cache)
    source = "the trial's run" if there.of_sweep else "run"
    say(f"{there.name}: version {there.version} is in MLflow at {hide_secrets(there.uri)}, from {source} {there.run}")
