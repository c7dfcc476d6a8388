"""The best trial in other measures than plain accuracy, from what OUT holds of its folds."""

from __future__ import annotations

import math

import pandas as pd

from fsamc.fold.metrics import balanced_accuracy, macro_f1, wilson_interval
from sweeps.report.document.report_blocks import Table
from sweeps.report.evidence import Evidence
from sweeps.results.tables import AVERAGE, DETECTED, FOLD, percent, summarise

MEASURES = ["accuracy", "balanced accuracy", "macro F1"]


def fold_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """One trial's folds: category, seed, draw, queries int64, and a column in [0, 1] for each of MEASURES.

    `predictions`: category, seed, draw, truth, predicted of every query.
    """
    rows = []
    for fold, answers in predictions.groupby(FOLD):
        classes = sorted({*answers["truth"], *answers["predicted"]})
        truth, predicted = (answers[side].map(classes.index).to_numpy() for side in ("truth", "predicted"))
        balanced = balanced_accuracy(truth, predicted, len(classes))
        f1 = macro_f1(truth, predicted, len(classes))
        rows.append([*fold, len(truth), (truth == predicted).mean(), balanced, f1])
    return pd.DataFrame(rows, columns=[*FOLD, "queries", *MEASURES])


def best_scores(evidence: Evidence) -> Table | None:
    """Score the best trial per category: accuracy with its interval over queries, balanced accuracy and macro F1.

    The interval is that of one fold: every seed asks the same images again, so counting all folds' queries as so many
    images would make it too narrow. Mean and deviation as everywhere: over draws first, then over seeds.
    """
    if evidence.predictions.empty:
        return None
    folds = fold_scores(evidence.predictions)
    queries = folds.groupby("category")["queries"].min()
    accuracy, balanced, f1 = (_over_seeds(folds, name, evidence.categories) for name in MEASURES)
    rows = [
        [
            str(name),
            percent(*accuracy.loc[name]),
            _interval(accuracy.loc[name, "mean"], queries[name]) if name in queries else "",
            str(queries.get(name, "")),
            percent(*balanced.loc[name]),
            percent(*f1.loc[name]),
        ]
        for name in accuracy.index
    ]
    header = ["category", "accuracy, %", "95 % interval, %", "queries of a fold", "balanced accuracy, %", "macro F1, %"]
    return Table.of(header, rows)


def best_detection(evidence: Evidence) -> Table | None:
    """Score the best trial's whole workflow, detection first, per category; None where it was not on."""
    if evidence.detection.empty:
        return None
    measures = [_over_seeds(evidence.detection, name, evidence.categories) for name in DETECTED]
    rows = [[str(name), *(percent(*measure.loc[name]) for measure in measures)] for name in measures[0].index]
    header = ["category", "workflow accuracy, %", "defects detected, %", "false alarms, %", "AUROC, %"]
    return Table.of(header, rows)


def _over_seeds(folds: pd.DataFrame, measure: str, common: list[str]) -> pd.DataFrame:
    """Return mean, std of one trial's folds by category; the `average` is over `common` ones."""
    scores = folds.assign(accuracy=folds[measure], trial=0, status="ok")
    each = summarise(scores).set_index("category").reindex(sorted(set(folds["category"])))
    average = summarise(scores[scores["category"].isin(common)]).set_index("category").reindex([AVERAGE])
    return pd.concat([each, average])[["mean", "std"]]


def _interval(accuracy: float, queries: int) -> str:
    """Around a mean accuracy, as if one fold had named so many of its queries rightly."""
    low, high = wilson_interval(math.floor(accuracy * queries + 0.5), int(queries))
    return f"{percent(low)} to {percent(high)}"
