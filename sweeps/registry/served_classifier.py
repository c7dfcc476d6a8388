"""Classifier as MLflow serves it: a table of pictures to a table of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import ModelSignature
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema, TensorSpec
from mlflow.types.schema import Array

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.outputs.answer_rows import answer_row
from fsamc.classifier.prediction import Prediction
from fsamc.data.pictures.decoding import decode
from fsamc.errors import BadInput

IMAGE, CLASSIFIER, SCORE = "image", "classifier", "score "
ALPHA = 0.1
_TYPES: dict[str, DataType | Array] = {
    "answer": DataType.string,
    "label": DataType.string,
    "probability": DataType.double,
    "known": DataType.boolean,
    "defective": DataType.boolean,
    "anomaly": DataType.double,
    "labels": Array(DataType.string),
    "calibrated": DataType.boolean,
    "nearest": DataType.string,
}


class ServedClassifier(PythonModel):
    """Answers for a column of pictures.

    Over HTTP a picture is its file's content as base64, which MLflow decodes. In a process it may also be a
    `pathlib.Path` or an array uint8 [H, W, 3]. A text is never taken for a path: nobody reads a server's files.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load the classifier from the model's artifacts."""
        self.classifier = DefectClassifier.load(context.artifacts[CLASSIFIER])

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: Mapping[str, Any] | None = None
    ) -> pd.DataFrame:
        """Answer for the pictures of column `image`, a row each, in order; `alpha` is that of `DefectClassifier`."""
        del context
        pictures = [pixels_of(one, row) for row, one in enumerate(model_input[IMAGE])]
        alpha = float((params or {}).get("alpha", ALPHA))
        return answer_table(self.classifier.predict(pictures, alpha=alpha))


def pixels_of(picture: object, row: int) -> np.ndarray | Path:
    """Return a picture as a classifier takes it. Raises BadInput for what is none."""
    if isinstance(picture, Path | np.ndarray):
        return picture
    if isinstance(picture, bytes | bytearray):
        return decode(Path(f"row {row}"), bytes(picture)).rgb()
    raise BadInput(
        f"row {row}: found {type(picture).__name__}, expected the content of a picture's file; in a process also a "
        "pathlib.Path or an array uint8 [H, W, 3]"
    )


def answer_table(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """Return answers as a table, a row each: the columns of `signature`."""
    rows = []
    for prediction in predictions:
        row = answer_row(prediction)
        scores = {f"{SCORE}{name}": score for name, score in row.pop("scores").items()}
        rows.append({name: row[name] for name in _TYPES} | scores)
    return pd.DataFrame(rows)


def signature(classes: tuple[str, ...]) -> ModelSignature:
    """Return what goes in and what comes out, for a classifier of these classes."""
    answers: list[ColSpec | TensorSpec] = [
        ColSpec(kind, name, required=name != "defective") for name, kind in _TYPES.items()
    ]
    answers += [ColSpec(DataType.double, f"{SCORE}{name}") for name in classes]
    params = ParamSchema([ParamSpec("alpha", DataType.double, ALPHA)])
    return ModelSignature(Schema([ColSpec(DataType.binary, IMAGE)]), Schema(answers), params)
