"""Rows of answers: a table for spreadsheets, and JSON lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from fsamc.classifier.prediction import Prediction
from fsamc.errors import BadInput, naming
from fsamc.store.durable import whole_file

FIXED = ["path", "answer", "label", "probability", "known", "defective", "anomaly", "labels", "calibrated", "nearest"]


def answer_row(prediction: Prediction) -> dict[str, Any]:
    """Return what is said of a picture, by the names in FIXED, and its `scores` by class."""
    row = {name: getattr(prediction, name) for name in FIXED if name != "path"}
    row |= {"labels": list(prediction.labels), "scores": dict(prediction.scores)}
    return {"path": prediction.name, **row, **{name: _brief(row[name]) for name in ("probability", "anomaly")}}


def as_json_line(prediction: Prediction) -> str:
    """Write a prediction as an object on a line."""
    row = answer_row(prediction)
    return json.dumps({**row, "scores": {name: _brief(score) for name, score in row["scores"].items()}}) + "\n"


def csv_header(classes: Sequence[str]) -> str:
    """Write the first line of a table of answers: FIXED, and `score CLASS` for each class."""
    return _csv_line([*FIXED, *(f"score {name}" for name in classes)])


def as_csv_line(prediction: Prediction) -> str:
    """Write a prediction as a line of the table, its lists as JSON."""
    row = answer_row(prediction)
    cells = [json.dumps(row[name]) if isinstance(row[name], list | bool) else row[name] for name in FIXED]
    return _csv_line([*cells, *map(_brief, row["scores"].values())])


@contextmanager
def answer_files(
    *, table: Path | None, lines: Path | None, classes: Sequence[str], growing: bool
) -> Iterator[Callable[[Prediction], None]]:
    """Yield what writes a prediction to all files that are wanted.

    Args:
        table: as CSV.
        lines: as JSON lines.
        classes: of the classifier.
        growing: the files are there from the start and get a line at a time, for who follows them; else they get their
            names when the block ends well, whole.
    """
    with ExitStack() as stack:
        writers: list[tuple[TextIO, Callable[[Prediction], str]]] = []
        for path, write in ((table, as_csv_line), (lines, as_json_line)):
            if path is not None:
                writers.append((stack.enter_context(_line_by_line(path) if growing else whole_file(path)), write))
        if table is not None:
            writers[0][0].write(csv_header(classes))

        def record(prediction: Prediction) -> None:
            for file, write in writers:
                file.write(write(prediction))

        yield record


def check_place(path: Path, option: str) -> None:
    """Raise BadInput if no file can be written there."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise BadInput(f"{option} {path}: is a folder, or lies in none; give a file in a folder that is there")


@contextmanager
def _line_by_line(path: Path) -> Iterator[TextIO]:
    with naming(path), path.open("w", encoding="utf-8", newline="", buffering=1) as lines:
        yield lines


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(["" if cell is None else cell for cell in cells])
    return line.getvalue()


def _brief(number: float) -> float:
    return float(f"{number:.6g}")
