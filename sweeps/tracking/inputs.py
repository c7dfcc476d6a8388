"""Inputs of a run, as MLflow's data sets: a name, the hash of the contents, a place."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from sweeps.results.reader import SweepReader

TEXTURES = "textures"


def categories_of(out: Path) -> list[str]:
    """List the categories that a sweep ran on."""
    return [what.removeprefix("category ") for what in _hashes(SweepReader(out)) if what != TEXTURES]


def datasets(out: Path, categories: Iterable[str], *, textures: bool = False) -> list[DatasetInput]:
    """Describe a data set per category, and one of the textures where there are some and they are asked for."""
    saved = SweepReader(out)
    hashes, places = _hashes(saved), saved.shown_notes.get("materials", {})
    inputs = [_input(name, hashes[f"category {name}"], places.get("data"), name, "evaluation") for name in categories]
    if textures and TEXTURES in hashes:
        inputs.append(_input(TEXTURES, hashes[TEXTURES], places.get("textures"), "", "training"))
    return inputs


def _hashes(saved: SweepReader) -> Mapping[str, str]:
    return saved.identity.data if saved.identity else {}


def _input(name: str, digest: str, place: str | None, below: str, context: str) -> DatasetInput:
    source = json.dumps({"uri": f"{place.rstrip('/')}/{below}".rstrip("/") if place else name})
    dataset = Dataset(name=name, digest=digest[:36], source_type="local", source=source)
    return DatasetInput(dataset=dataset, tags=[InputTag(MLFLOW_DATASET_CONTEXT, context)])
