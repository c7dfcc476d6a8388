"""Answers worth a look: the wrong ones and, of the right ones, those that another class nearly won."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import nan

import pandas as pd

from sweeps.results import tables


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a fold's head said of one query.

    Attributes:
        scores: of every class, the highest first.
        folds, wrong: how many folds of the trial asked for this picture, and in how many it was named wrongly.
    """

    category: str
    seed: int
    draw: int
    shots: int
    image: str
    truth: str
    said: str
    scores: dict[str, float]
    folds: int
    wrong: int

    @property
    def margin(self) -> float:
        """How far the score of the said class lies above the highest other one, in the head's own unit."""
        return _margin(self.scores)


def wrong_answers(predictions: pd.DataFrame) -> list[Answer]:
    """List the pictures of a category that were named wrongly, each as in the fold that was surest of it.

    One of each confusion (true and said class) comes first, those of the most pictures before others, then a second one
    of each, and so on; of one confusion, pictures that more of their folds named wrongly, and more surely, come first.

    Args:
        predictions: of one category and trial, as `SweepReader.predictions`.
    """
    asked = _with_counts(predictions)
    wrong = asked[asked["truth"] != asked["predicted"]]
    wrong = wrong.sort_values(["margin", "image"], ascending=[False, True], kind="stable").drop_duplicates("image")
    wrong = wrong.sort_values("share", ascending=False, kind="stable")
    confusion = wrong.groupby(["truth", "predicted"])["image"]
    wrong = wrong.assign(place=confusion.cumcount(), pictures=confusion.transform("size"))
    ordered = wrong.sort_values(["place", "pictures"], ascending=[True, False], kind="stable")
    return _answers(ordered)


def unsure_answers(predictions: pd.DataFrame) -> list[Answer]:
    """List the pictures of a category that every fold named rightly, each as in the fold that was least sure of it.

    The smallest margin comes first. `predictions` as in `wrong_answers`.
    """
    asked = _with_counts(predictions)
    right = asked[asked["wrong"] == 0].sort_values(["margin", "image"], kind="stable").drop_duplicates("image")
    return _answers(right)


def _with_counts(predictions: pd.DataFrame) -> pd.DataFrame:
    """Add the scores, highest first, with their margin, and how many folds named a picture, and named it wrongly."""
    pairs = zip(predictions["scores"], predictions["predicted"], strict=True)
    scores = [_highest_first(text, said) for text, said in pairs]
    is_wrong = predictions["truth"] != predictions["predicted"]
    by_image = is_wrong.groupby(predictions["image"])
    return predictions.assign(
        scores=pd.Series(scores, predictions.index, dtype=object),
        margin=[_margin(one) for one in scores],
        asked=by_image.transform("size"),
        wrong=by_image.transform("sum"),
        share=by_image.transform("mean"),
    )


def _highest_first(text: str, said: str) -> dict[str, float]:
    """Read the scores; of equal ones that of the said class comes first, since they are rounded."""
    scores: dict[str, float] = json.loads(text)
    return dict(sorted(scores.items(), key=lambda pair: (-pair[1], pair[0] != said)))


def _margin(scores: dict[str, float]) -> float:
    first, second, *_ = [*scores.values(), nan, nan]
    return first - second


def _answers(rows: pd.DataFrame) -> list[Answer]:
    where = [*tables.FOLD, "image", "truth", "predicted", "scores", "asked", "wrong"]
    return [
        Answer(
            category=category,
            seed=int(seed),
            draw=int(draw),
            shots=int(shots),
            image=image,
            truth=truth,
            said=said,
            scores=scores,
            folds=int(asked),
            wrong=int(wrong),
        )
        for category, seed, draw, shots, image, truth, said, scores, asked, wrong in zip(
            *(rows[name] for name in where), strict=True
        )
    ]
