"""Models of a sweep: its classifiers in MLflow's Model Registry, each once, under the name of its category."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mlflow.tracking import MlflowClient

from sweeps.classifiers.sweep_classifiers import CLASSIFIERS
from sweeps.registry.model_versions import version_of
from sweeps.results.reader import SweepReader
from sweeps.tracking.uri import open_client


def register_classifiers(out: Path, uri: str) -> list[str]:
    """Register those of a sweep's classifiers that MLflow does not have; return which it has then, in lines.

    Raises BadInput where a network is not found any more, and whatever MLflow raises where it is away.
    """
    client = open_client(uri)
    versions = [_registered(client, out, file, uri) for file in _files(out)]
    return [f"models   {', '.join(versions)}"] if versions else []


def _files(out: Path) -> Iterator[Path]:
    """Yield the classifiers that the sweep has left, and that are still there."""
    left = SweepReader(out).notes.get(CLASSIFIERS, {})
    yield from (file for name in left.get("files", ()) if (file := out / name).exists())


def _registered(client: MlflowClient, out: Path, file: Path, uri: str) -> str:
    name = _model_name(file.stem)
    version = version_of(client, file, name)
    if version is None:
        from sweeps.registry.register import register  # here, because it loads torch

        cache = SweepReader(out).notes.get("materials", {}).get("cache")
        version = str(register(file, name, uri=uri, backbone=None, cache=Path(cache) if cache else None).version)
    return f"{name} version {version}"


def _model_name(category: str) -> str:
    """Return a category's name, without what MLflow allows in no model's name and no filter."""
    return "".join("-" if character in "/:.%'\"" else character for character in category)
