"""Rows of OUT's tables that one finished fold gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from cluster.folds import Outcome
from fsamc.fold.result import FoldResult
from sweeps.results import objective, tables

DETECTION = ["trial", *tables.FOLD, "threshold", *tables.DETECTED]
PREDICTIONS = ["trial", *tables.FOLD, "image", "truth", "predicted", "scores"]


def fold_row(number: int, config: str, values: Mapping[str, Any], outcome: Outcome) -> dict[str, Any]:
    """Make a finished fold's row of folds.csv, by column; `config` is the `config_hash` of its trial."""
    fold, result = outcome.fold, outcome.result
    return {
        "trial": number,
        "config": config,
        "category": fold.category,
        "seed": fold.seed,
        "draw": fold.draw,
        "shots": fold.config.shots,
        "head": fold.config.head.kind,
        "accuracy": result.accuracy if result else "",
        "correct": result.correct if result else "",
        "queries": result.queries if result else "",
        "status": "ok" if result else f"failed: {outcome.error}",
        "seconds": round(result.seconds, 3) if result else "",
        **{key: _cell(value) for key, value in values.items()},
    }


def table_rows(row: Mapping[str, Any], outcome: Outcome, columns: Sequence[str]) -> dict[str, list[list[str]]]:
    """Make a finished fold's rows of each table, as text; that of folds.csv, `row` by `columns`, is the last."""
    rows: dict[str, list[list[Any]]] = {}
    number, result = row["trial"], outcome.result
    if result is not None:
        rows["predictions.csv"] = _predictions(number, result)
        if result.threshold is not None:
            rows["detection.csv"] = [_detection(number, result)]
        if result.measured:
            rows[objective.OBJECTIVES] = [objective.measured_row(number, result)]
    rows["folds.csv"] = [[row.get(name, "") for name in columns]]
    return {name: [["" if cell is None else str(cell) for cell in cells] for cells in rows[name]] for name in rows}


def _predictions(number: int, result: FoldResult) -> list[list[Any]]:
    where = [number, result.category, result.seed, result.draw, result.shots]
    answers = zip(result.images, result.truth, result.predicted, result.scores, strict=True)
    return [
        [*where, image, result.classes[truth], result.classes[predicted], _scores(result.classes, scores)]
        for image, truth, predicted, scores in answers
    ]


def _detection(number: int, result: FoldResult) -> list[Any]:
    measures = (getattr(result, name) for name in tables.DETECTED)
    return [number, result.category, result.seed, result.draw, result.shots, result.threshold, *measures]


def _scores(classes: tuple[str, ...], scores: tuple[float, ...]) -> str:
    return json.dumps({name: float(f"{score:.6g}") for name, score in zip(classes, scores, strict=True)})


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | tuple | dict | bool) or value is None else value
