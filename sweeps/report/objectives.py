"""Objectives compared: what each would have chosen of this sweep, and what that is worth on the queries."""

from __future__ import annotations

import math

import pandas as pd

from sweeps.report.document.numbers import percentage_points
from sweeps.report.document.report_blocks import Cell, Table
from sweeps.report.evidence import Evidence
from sweeps.results.choices import choices
from sweeps.results.tables import AVERAGE, DASH, percent

NAMES = {
    "query": "query: the reported queries themselves",
    "support": "support: leave-one-out on the support",
    "pseudo": "pseudo: held-out pseudo-defects",
    "transfer": "transfer",
}


def objective_choices(evidence: Evidence) -> Table | None:
    """Compare the objectives that were measured; None where there is no choice, or no queries to judge it by."""
    if evidence.plan.folds.score == "support" or len(evidence.board) < 2:
        return None
    chosen = choices(evidence.folds, evidence.measured)
    several = len(evidence.shots) > 1
    header = [
        *(["shots"] if several else []),
        "objective",
        "chooses",
        "its score by the objective, %",
        "its accuracy on the queries, %",
        "to the best there, points",
        "rank correlation",
    ]
    rows = [
        [*(["mean" if pd.isna(row["shots"]) else str(row["shots"])] if several else []), *_row(row, evidence)]
        for _, row in chosen.iterrows()
    ]
    return Table.of(header, rows, names=2 + several)


def _row(row: pd.Series, evidence: Evidence) -> list[Cell | str]:
    plan = evidence.plan.objective
    shots = evidence.shots[0] if len(evidence.shots) == 1 else plan.shots
    chose = row["objective"] == plan.kind and (not plan.target or row["category"] in plan.target)
    chose &= shots == "mean" if pd.isna(row["shots"]) else row["shots"] == shots
    return [
        Cell(_name(row), strong=chose),
        "" if pd.isna(row["trial"]) else f"trial {row['trial']}",
        "" if pd.isna(row["trial"]) else percent(row["score"]),
        Cell(percent(row["accuracy"], row["std"]), strong=chose),
        percentage_points(row["accuracy"] - row["best"]),
        DASH if math.isnan(row["correlation"]) else f"{row['correlation']:+.2f}".replace("-", "\N{MINUS SIGN}"),
    ]


def _name(row: pd.Series) -> str:
    if row["objective"] != "transfer":
        return NAMES[row["objective"]]
    if row["category"] == AVERAGE:
        return "transfer: average over the categories"
    return f"transfer: {row['category']}, chosen on the others"
