"""The best trial in other measures than plain accuracy, from what OUT holds of its folds."""

from __future__ import annotations

import math

import pandas as pd

from fsamc.counting import counted
from fsamc.fold.metrics import balanced_accuracy, macro_f1, wilson_interval
from sweeps.report.document.report_blocks import Table
from sweeps.report.evidence import Evidence
from sweeps.results.tables import AVERAGE, DETECTED, FOLD, mark_averaged, percent, summarise

MEASURES = ["accuracy", "balanced accuracy", "macro F1"]


def fold_scores(predictions: pd.DataFrame) -> pd.DataFrame:
    """One trial's folds: FOLD, queries int64, and a column in [0, 1] for each of MEASURES.

    `predictions`: FOLD, truth, predicted of every query.
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
    queries = folds.groupby(["shots", "category"])["queries"].min()
    accuracy, balanced, f1 = (_over_seeds(evidence, folds, name) for name in MEASURES)
    rows = [
        [
            _name(evidence, *at),
            percent(*accuracy.loc[at]),
            _interval(accuracy.loc[at, "mean"], queries[at]) if at in queries else "",
            str(queries.get(at, "")),
            percent(*balanced.loc[at]),
            percent(*f1.loc[at]),
        ]
        for at in accuracy.index
    ]
    header = ["category", "accuracy, %", "95 % interval, %", "queries of a fold", "balanced accuracy, %", "macro F1, %"]
    return Table.of(header, rows)


def best_detection(evidence: Evidence) -> Table | None:
    """Score the best trial's whole workflow, detection first, per category; None where it was not on."""
    if evidence.detection.empty:
        return None
    measures = [_over_seeds(evidence, evidence.detection, name) for name in DETECTED]
    rows = [[_name(evidence, *at), *(percent(*measure.loc[at]) for measure in measures)] for at in measures[0].index]
    header = ["category", "workflow accuracy, %", "defects detected, %", "false alarms, %", "AUROC, %"]
    return Table.of(header, rows)


def _over_seeds(evidence: Evidence, folds: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return mean, std of one trial's folds by (shots, category or `average`); of several shots, 0 is their mean."""
    scores = folds.assign(accuracy=folds[measure], trial=0, status="ok")
    summary = summarise(mark_averaged(scores, evidence.averaged))
    by_shots = summary[summary["shots"].notna()]
    average = summary[summary["shots"].isna() & (summary["category"] == AVERAGE)].fillna({"shots": 0})
    of_these = pd.concat([by_shots, average]) if len(evidence.shots) > 1 else by_shots
    table = of_these.astype({"shots": int}).set_index(["shots", "category"])[["mean", "std"]]
    return table if len(average) else table.reindex([*table.index, (evidence.shots[0], AVERAGE)])


def _name(evidence: Evidence, shots: int, category: str) -> str:
    if len(evidence.shots) == 1:
        return category
    return f"{category}, {counted(shots, 'shot')}" if shots else f"{category}, over the shots"


def _interval(accuracy: float, queries: int) -> str:
    """Around a mean accuracy, as if one fold had named so many of its queries rightly."""
    low, high = wilson_interval(math.floor(accuracy * queries + 0.5), int(queries))
    return f"{percent(low)} to {percent(high)}"
