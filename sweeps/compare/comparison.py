"""Comparison of sweeps: plans, data, best trials, and the folds that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sweeps.compare.side import Side, read_sides
from sweeps.report.document.numbers import counted, interval, listed, percentage_points
from sweeps.report.document.report_blocks import Cell, Notice, Paragraph, Report, Section, Table
from sweeps.results import tables
from sweeps.results.tables import AVERAGE, DASH, FOLD, paired_difference, percent

SCORED = ["accuracy", "correct", "queries"]


def compare_sweeps(outs: Sequence[Path]) -> Report:
    """Compare the sweeps in the folders `outs`, each after the first with the first.

    Raises BadInput if there are fewer than two, or one holds no sweep or no finished fold.
    """
    sides = read_sides(outs)
    first, others = sides[0], sides[1:]
    warnings = [warning for other in others for warning in (*_other_data(first, other), *_disagreement(first, other))]
    sections = [_plans(sides), _best(sides), _paired(first, others), _same(first, others)]
    return Report(
        "Sweeps compared", " · ".join(side.name for side in sides), [Notice(warning) for warning in warnings], sections
    )


def _plans(sides: list[Side]) -> Section:
    """List the dotted keys in which the plans differ."""
    keys = dict.fromkeys(key for side in sides for key in side.plan)
    differ = [key for key in keys if any(side.plan.get(key) != sides[0].plan.get(key) for side in sides)]
    rows = [[key, *(_value(side.plan, key) for side in sides)] for key in differ]
    if not rows:
        return Section("plans", "Plans", [Paragraph("The same.")])
    table = Table.of(["key", *(side.name for side in sides)], rows, names=1 + len(sides))
    return _section("plans", "Plans", f"Dotted keys that differ; {DASH}: not in the plan.", table)


def _section(name: str, title: str, note: str, table: Table) -> Section:
    return Section(name, title, [Paragraph(note, small=True), table])


def _value(plan: dict[str, Any], key: str) -> str:
    return str(plan[key]) if key in plan else DASH


def _best(sides: list[Side]) -> Section:
    """List each sweep's best trial, per category."""
    shared = sorted(set.intersection(*(side.categories for side in sides)))
    scores = [_scores(side, shared) for side in sides]
    names = sorted(set().union(*(side.categories for side in sides)))
    rows: list[list[Cell | str]] = [[name, *(_score(each, name) for each in scores)] for name in [*names, AVERAGE]]
    header = ["category", *(f"{side.name}: {_best_name(side)}" for side in sides)]
    over = f"over the {counted(len(shared), 'category')} that all have: {listed(shared)}" if shared else "of none"
    note = f"Accuracy in percent, mean ± sample standard deviation over seeds. The average is {over}."
    return _section("trials", "Best trials", note, Table.of(header, rows))


def _best_name(side: Side) -> str:
    if side.best is None:
        return "no best trial"
    row = side.best_folds.iloc[0]
    return f"trial {side.best}, {row['head']}, {counted(row['shots'], 'shot')}"


def _scores(side: Side, shared: list[str]) -> pd.DataFrame:
    """Return mean, std of the best trial by category; the `average` is over `shared` ones."""
    folds = side.best_folds
    if folds.empty:
        return pd.DataFrame(columns=["mean", "std"])
    each = tables.summarise(folds).set_index("category").drop(index=AVERAGE, errors="ignore")
    average = tables.summarise(folds[folds["category"].isin(shared)]).set_index("category").reindex([AVERAGE])
    return pd.concat([each, average])[["mean", "std"]]


def _score(scores: pd.DataFrame, name: str) -> Cell:
    return Cell(percent(*scores.loc[name]) if name in scores.index else DASH, strong=name == AVERAGE)


def _paired(first: Side, others: list[Side]) -> Section:
    """Compare best with best, on the folds that both have."""
    rows = [[other.name, *_difference(first, other)] for other in others]
    header = ["sweep", "folds in common", f"to {first.name}, points", "95 % interval", "conclusion"]
    note = (
        f"The best trial of each minus that of {first.name}, on the folds that both have (category, seed, draw and "
        "shots). The interval is Student's t over the differences per category and seed. Each best trial was chosen on "
        "these very folds, the larger search among more: of the searches this says less than of the two trials."
    )
    return _section("paired", "Best against best", note, Table.of(header, rows))


def _difference(first: Side, other: Side) -> list[Cell | str]:
    ours, theirs = (side.best_folds.set_index([*FOLD, "shots"])["accuracy"] for side in (other, first))
    both = pd.concat({"ours": ours, "theirs": theirs}, axis=1).dropna()
    if both.empty:
        return ["0", DASH, DASH, Cell("no fold in common", strong=True)]
    row = paired_difference(both[["ours"]], both[["theirs"]]).iloc[0]
    equal = bool((both["ours"] == both["theirs"]).all())
    conclusion = Cell("equal on every fold" if equal else _conclusion(row["low"], row["high"]), strong=True)
    return [str(len(both)), percentage_points(row["difference"]), interval(row["low"], row["high"]), conclusion]


def _conclusion(low: float, high: float) -> str:
    """Say it from the sweep's own point of view; without an interval (NaN) there is nothing to tell."""
    return "better" if low > 0 else "worse" if high < 0 else "cannot be told apart"


def _same(first: Side, others: list[Side]) -> Section:
    """Count the configurations that both ran: a fold is a pure function, so their folds must agree exactly."""
    rows: list[list[Cell | str]] = []
    for other in others:
        both = _in_both(first, other)
        differ = int(_differs(both).sum())
        agree = DASH if both.empty else "agree exactly" if not differ else f"{differ} of {len(both)} differ"
        rows.append([other.name, str(both["config"].nunique()), str(len(both)), Cell(agree, strong=differ > 0)])
    note = "Configurations are the same where their hashes are. Their folds must then agree to the last query."
    header = ["sweep", f"configurations also in {first.name}", "folds of these in both", "folds"]
    return _section("shared", "Configurations that both ran", note, Table.of(header, rows))


def _in_both(first: Side, other: Side) -> pd.DataFrame:
    """Return the folds that both have of the same configurations: their scores in one and, `_other`, the other."""
    fold = ["config", *FOLD]
    ours, theirs = (side.folds.drop_duplicates(fold)[[*fold, "trial", *SCORED]] for side in (first, other))
    both = ours.merge(theirs, on=fold, suffixes=("", "_other"))
    return both.sort_values(["trial", *FOLD], ignore_index=True)


def _differs(both: pd.DataFrame) -> pd.Series:
    return (both[SCORED].to_numpy() != both[[f"{name}_other" for name in SCORED]].to_numpy()).any(axis=1)


def _disagreement(first: Side, other: Side) -> Iterator[str]:
    both = _in_both(first, other)
    if not (differ := _differs(both)).any():
        return
    row = both[differ].iloc[0]
    yield (
        f"{other.name} and {first.name} do not agree on configurations that both ran. The first fold that differs: "
        f"configuration {row['config']}, {row['category']}, seed {row['seed']}, draw {row['draw']}: "
        f"{row['correct']:.0f} of {row['queries']:.0f} right in trial {row['trial']} of {first.name}, "
        f"{row['correct_other']:.0f} of {row['queries_other']:.0f} in trial {row['trial_other']} of {other.name}; "
        "other data, other versions of the software or another device explain it, nothing else should"
    )


def _other_data(first: Side, other: Side) -> Iterator[str]:
    if not first.data or not other.data:
        silent = " and ".join(side.name for side in (first, other) if not side.data)
        yield f"{silent} does not say what data it ran on: whether they are the same is not known"
        return
    what = dict.fromkeys([*first.data, *other.data])
    if differ := [name for name in what if first.data.get(name) != other.data.get(name)]:
        yield f"{other.name} ran on other data than {first.name}: {listed(differ)} not the same"
