"""Comparison with MVREC (Lyu et al., AAAI 2025): its published accuracies beside those of the best trial."""

from __future__ import annotations

from functools import cache
from importlib import resources
from pathlib import Path

import pandas as pd

from fsamc.counting import counted
from fsamc.errors import BadInput
from sweeps.report.document.numbers import listed, percentage_points
from sweeps.report.document.report_blocks import Block, Bullets, Heading, Table
from sweeps.report.evidence import Evidence
from sweeps.results.tables import AVERAGE, percent

SHARED = "mean of the shared rows"
_COLUMNS = {  # (trained, views) as published, and what they are called
    (False, "one"): "training-free, one view",
    (False, "several"): "training-free",
    (True, "several"): "trained",
}


def compare_with_mvrec(evidence: Evidence, out: Path) -> list[Block]:
    """Show the best trial's accuracy at each number of shots that MVREC has, beside its own: a heading, tables, notes.

    Raises BadInput if there is no such number of shots, or no trial is best.
    """
    published = published_accuracies()
    shots = [number for number in evidence.shots if number in {*published["shots"]}]
    if evidence.best is None or not shots:
        raise BadInput(
            f"{out}: no trial at {listed(sorted({*published['shots']}))} shots to put beside MVREC's; "
            "sweep with folds.protocol=mvtec-fs folds.shots=[1,3,5] folds.draws=[1,2,3,4,5]"
        )
    best = evidence.summary[evidence.summary["trial"] == evidence.best]
    tables = [_table(beside_mvrec(best, number), counted(number, "shot")) for number in shots]
    heading = Heading(f"MVREC, MVTec-FS: trial {evidence.best} beside its published results, approximately")
    return [heading, *tables, Bullets(_notes(evidence), small=True)]


def beside_mvrec(summary: pd.DataFrame, shots: int) -> pd.DataFrame:
    """Set one trial's rows of summary.csv, at `shots`, beside MVREC's.

    Returns by category, those that both have and their mean last: ours, std and a column for each of MVREC's variants,
    float64 as shares; only our own categories where they share none.
    """
    ours = summary[(summary["shots"] == shots) & (summary["category"] != AVERAGE)].set_index("category")
    published = published_accuracies()
    theirs = published[published["shots"] == shots].pivot(
        index="category", columns=["trained", "views"], values="accuracy"
    )
    theirs = theirs[[*_COLUMNS]].set_axis([*_COLUMNS.values()], axis=1)
    beside = ours[["mean", "std"]].rename(columns={"mean": "ours"}).join(theirs)
    shared = beside.dropna(subset=[*_COLUMNS.values()])
    if len(shared):
        beside.loc[SHARED] = shared.mean().where(shared.columns != "std")
    return beside


@cache
def published_accuracies() -> pd.DataFrame:
    """Columns trained bool, views str, shots int64, category str, accuracy float64 as a share in [0, 1]."""
    with (resources.files("sweeps.report") / "mvrec.csv").open(encoding="utf-8") as file:
        cells = pd.read_csv(file)
    return cells.assign(accuracy=cells["accuracy"] / 100)


def _table(beside: pd.DataFrame, title: str) -> Table:
    rows = [
        [
            str(name),
            percent(row["ours"], row["std"], digits=2),
            *(percent(row[column], digits=2) for column in _COLUMNS.values()),
            percentage_points(row["ours"] - row["trained"], digits=2),
        ]
        for name, row in beside.iterrows()
    ]
    columns = [f"MVREC {column}, %" for column in _COLUMNS.values()]
    return Table.of(["category", "ours, %", *columns, "ours minus trained"], rows, title=title)


def _notes(evidence: Evidence) -> list[str]:
    folds, region = evidence.plan.folds, evidence.configs[evidence.best or 0].representation.region
    given = "as ours is here" if region == "masks" else "which ours is not"
    notes = [
        f"MVREC is given the defect's mask at support and query, {given}; its features are AlphaCLIP ViT-L/14's.",
        "The comparison is approximate: the draws are not MVREC's own, and it rounds a class's half as published.",
    ]
    if folds.protocol != "mvtec-fs":
        notes.append(f"Ours are on other queries: folds.protocol is {folds.protocol}, and MVREC's is mvtec-fs.")
    return notes
