"""Comparison of sweeps: plans, data, best trials, and the folds that they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fsamc.counting import counted
from sweeps.compare.side import Side, read_sides
from sweeps.compare.verdict import Verdict, judge
from sweeps.report.document.numbers import interval, listed, percentage_points
from sweeps.report.document.report_blocks import Cell, Notice, Paragraph, Report, Section, Table
from sweeps.results import tables
from sweeps.results.tables import AVERAGE, DASH, FOLD, paired_difference, percent

SCORED = ["accuracy", "correct", "queries"]


def compare_sweeps(outs: Sequence[Path]) -> Report:
    """Compare the sweeps in the folders `outs`, each after the first with the first.

    Raises BadInput if there are fewer than two, or one holds no sweep or no finished fold.
    """
    return compare_sides(read_sides(outs))


def compare_sides(sides: list[Side]) -> Report:
    """Compare sweeps that have been read."""
    first, others = sides[0], sides[1:]
    warnings = [warning for other in others for warning in (*_other_data(first, other), *_disagreement(first, other))]
    sections = [_plans(sides), _best(sides), _paired(first, others), _proved(first, others), _same(first, others)]
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
    cells = set.intersection(*(side.cells for side in sides))
    shared = {shots: sorted(name for n, name in cells if n == shots) for shots in sorted({n for n, _ in cells})}
    scores = [_scores(side, shared) for side in sides]
    numbers = sorted({shots for side in sides for shots, _ in side.cells})
    several = len(numbers) > 1
    rows: list[list[Cell | str]] = []
    for shots in numbers:
        names = sorted({name for side in sides for n, name in side.cells if n == shots})
        at = [str(shots)] if several else []
        rows += [[name, *at, *(_score(each, shots, name) for each in scores)] for name in [*names, AVERAGE]]
    if several:
        rows.append([AVERAGE, "mean", *(_score(each, 0, AVERAGE) for each in scores)])
    header = ["category", *(["shots"] if several else []), *(f"{side.name}: {_best_name(side)}" for side in sides)]
    note = f"Accuracy in percent, mean ± sample standard deviation over seeds. The average is {_over(shared)}."
    return _section("trials", "Best trials", note, Table.of(header, rows))


def _over(shared: dict[int, list[str]]) -> str:
    """Say what the averages are over."""
    if not shared:
        return "of none"
    names, *others = shared.values()
    if all(other == names for other in others):
        return f"over the {counted(len(names), 'category')} that all have: {listed(names)}"
    each = (f"{listed(names)} at {counted(shots, 'shot')}" for shots, names in shared.items())
    return f"over the categories that all have: {'; '.join(each)}"


def _best_name(side: Side) -> str:
    if side.best is None:
        return "no best trial"
    shots = sorted(set(side.best_folds["shots"]))
    return f"trial {side.best}, {side.best_folds['head'].iloc[0]}, {listed(shots)} shot{'s' * (shots != [1])}"


def _scores(side: Side, shared: dict[int, list[str]]) -> pd.DataFrame:
    """Return mean, std of the best trial by (shots, category), 0 for their mean, averaged over `shared`."""
    folds = tables.mark_averaged(side.best_folds, shared or {0: [""]})
    summary = tables.summarise(folds).fillna({"shots": 0})
    return summary.set_index(["shots", "category"])[["mean", "std"]]


def _score(scores: pd.DataFrame, shots: int, name: str) -> Cell:
    mean, std = (float(scores[column].get((shots, name), np.nan)) for column in ("mean", "std"))
    return Cell(percent(mean, std), strong=name == AVERAGE)


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


def verdicts(sides: Sequence[Side]) -> list[Verdict | None]:
    """Judge the best trial of each sweep after the first against that of the first, as the first one's plan says."""
    first, *others = sides
    return [judge(other.best_scores, first.best_scores, first.stopping) for other in others]


def _proved(first: Side, others: list[Side]) -> Section:
    """Say of the same what is proved, whatever the differences are like."""
    rows: list[list[Cell | str]] = []
    for other, verdict in zip(others, verdicts([first, *others]), strict=True):
        if verdict is None:
            rows.append([other.name, "0", "0", DASH, DASH, Cell("no fold in common", strong=True)])
            continue
        counts, ends = [str(verdict.folds), str(verdict.draws)], interval(verdict.low, verdict.high)
        told = Cell(verdict.conclusion, strong=True)
        rows.append([other.name, *counts, percentage_points(verdict.difference), ends, told])
    header = ["sweep", "folds in common", "draws", f"to {first.name}, points", "proved interval", "conclusion"]
    share = f"{100 * (1 - first.stopping.error):g} %"
    note = (
        f"The same difference, with an interval that is right in {share} of cases however often one looks and whatever "
        "the differences are like: bets on each draw of a category, as search.stopping.kind proved makes them, by the "
        f"error, margin and stakes in the plan of {first.name}. It is about further draws of the same images, and wide "
        "for few."
    )
    return _section("proved", "Best against best, proved", note, Table.of(header, rows))


def _difference(first: Side, other: Side) -> list[Cell | str]:
    ours, theirs = (side.best_folds.set_index(FOLD)["accuracy"] for side in (other, first))
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
        f"configuration {row['config']}, {row['category']}, seed {row['seed']}, draw {row['draw']}, "
        f"{counted(row['shots'], 'shot')}: "
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
