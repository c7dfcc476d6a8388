"""Comparison of sweeps by their best trials, or of named trials: plans, data, and the folds that they share."""

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
    """Compare sweeps, given by their folders, or trials, given as OUT@TRIAL, each after the first with the first.

    Raises BadInput as `read_sides` does.
    """
    return compare_sides(read_sides(outs))


def compare_sides(sides: list[Side]) -> Report:
    """Compare what has been read."""
    first, others = sides[0], sides[1:]
    sections = [_plans(sides), _configurations(sides), _trials(sides)]
    sections += [_paired(first, others), _proved(first, others), _same(first, others)]
    title = "Trials compared" if all(side.named for side in sides) else "Sweeps compared"
    notices = [Notice(warning) for warning in warnings_of(sides)]
    return Report(title, " · ".join(side.name for side in sides), notices, sections)


def warnings_of(sides: Sequence[Side]) -> list[str]:
    """Say where the data or the scores of each after the first do not fit the first one's."""
    first, *others = sides
    return [warning for other in others for warning in (*_other_data(first, other), *_disagreement(first, other))]


def _plans(sides: list[Side]) -> Section:
    """List the dotted keys in which the plans differ."""
    note = f"Dotted keys that differ; {DASH}: not in the plan."
    return _differing("plans", "Plans", note, {side.name: side.plan for side in sides})


def _configurations(sides: list[Side]) -> Section:
    """List the dotted keys in which the trials differ."""
    note = f"Dotted keys in which these trials differ; {DASH}: of another kind."
    return _differing(
        "configurations",
        "Configurations of these trials",
        note,
        {side.name: side.configuration for side in sides if side.trial is not None},
    )


def _differing(name: str, title: str, note: str, trees: dict[str, dict[str, Any]]) -> Section:
    keys = dict.fromkeys(key for tree in trees.values() for key in tree)
    rows = [[key, *(_value(tree, key) for tree in trees.values())] for key in keys]
    if not (rows := [row for row in rows if len({*row[1:]}) > 1]):
        return Section(name, title, [Paragraph("The same.")])
    return _section(name, title, note, Table.of(["key", *trees], rows, names=1 + len(trees)))


def _section(name: str, title: str, note: str, table: Table) -> Section:
    return Section(name, title, [Paragraph(note, small=True), table])


def _value(tree: dict[str, Any], key: str) -> str:
    return str(tree[key]) if key in tree else DASH


def _trials(sides: list[Side]) -> Section:
    """List what each trial scored, per category."""
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
    header = ["category", *(["shots"] if several else []), *(f"{side.name}: {_trial_name(side)}" for side in sides)]
    note = f"Accuracy in percent, mean ± sample standard deviation over seeds. The average is {_over(shared)}."
    title = "Trials" if any(side.named for side in sides) else "Best trials"
    return _section("trials", title, note, Table.of(header, rows))


def _over(shared: dict[int, list[str]]) -> str:
    """Say what the averages are over."""
    if not shared:
        return "of none"
    names, *others = shared.values()
    if all(other == names for other in others):
        return f"over the {counted(len(names), 'category')} that all have: {listed(names)}"
    each = (f"{listed(names)} at {counted(shots, 'shot')}" for shots, names in shared.items())
    return f"over the categories that all have: {'; '.join(each)}"


def _trial_name(side: Side) -> str:
    if side.trial is None:
        return "no best trial"
    shots = sorted(set(side.trial_folds["shots"]))
    return f"trial {side.trial}, {side.trial_folds['head'].iloc[0]}, {listed(shots)} shot{'s' * (shots != [1])}"


def _scores(side: Side, shared: dict[int, list[str]]) -> pd.DataFrame:
    """Return mean, std of the trial by (shots, category), 0 for their mean, averaged over `shared`."""
    folds = tables.mark_averaged(side.trial_folds, shared or {0: [""]})
    summary = tables.summarise(folds).fillna({"shots": 0})
    return summary.set_index(["shots", "category"])[["mean", "std"]]


def _score(scores: pd.DataFrame, shots: int, name: str) -> Cell:
    mean, std = (float(scores[column].get((shots, name), np.nan)) for column in ("mean", "std"))
    return Cell(percent(mean, std), strong=name == AVERAGE)


def _paired(first: Side, others: list[Side]) -> Section:
    """Compare trial with trial, on the folds that both have."""
    rows = [[other.name, *_difference(first, other)] for other in others]
    header = ["sweep", "folds in common", f"to {first.name}, points", "95 % interval", "conclusion"]
    note = (
        f"The trial of each minus that of {first.name}, on the folds that both have (category, seed, draw and shots). "
        f"The interval is Student's t over the differences per category and seed. {_choice([first, *others])}"
    )
    return _section("paired", _against([first, *others]), note, Table.of(header, rows))


def _choice(sides: list[Side]) -> str:
    """Say what no interval knows: how the trials were chosen."""
    if any(side.named for side in sides):
        return "It holds for trials that were named before their scores were seen: of many pairs some differ by luck."
    return (
        "Each best trial was chosen on these very folds, the larger search among more: of the searches this says less "
        "than of the two trials."
    )


def _against(sides: list[Side]) -> str:
    return "Trial against trial" if any(side.named for side in sides) else "Best against best"


def verdicts(sides: Sequence[Side]) -> list[Verdict | None]:
    """Judge the trial of each after the first against that of the first, as the first one's plan says."""
    first, *others = sides
    return [judge(other.trial_scores, first.trial_scores, first.stopping) for other in others]


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
    return _section("proved", f"{_against([first, *others])}, proved", note, Table.of(header, rows))


def _difference(first: Side, other: Side) -> list[Cell | str]:
    ours, theirs = (side.trial_folds.set_index(FOLD)["accuracy"] for side in (other, first))
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
