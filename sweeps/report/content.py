"""What the report says, ready for both templates: every number as text, every table as cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sweeps.report.account import account, failures, what_ran
from sweeps.report.axes import swept_axes
from sweeps.report.confusion import Confusion, confusions
from sweeps.report.evidence import Evidence
from sweeps.report.grid import Cell, Grid, counted, interval, points, shown
from sweeps.report.headline import Tile, headline, verdict
from sweeps.report.heads import head_scores
from sweeps.report.heatmap import FoldMatrix, fold_matrix
from sweeps.report.importance import importances
from sweeps.report.objectives import objective_choices
from sweeps.report.paper_comparison import Comparison
from sweeps.report.pareto import time_and_accuracy, unbeaten_trials
from sweeps.report.pictures import Picture, pictures
from sweeps.report.scores import best_detection, best_scores
from sweeps.results.saved_settings import caveats_of
from sweeps.results.tables import AVERAGE, format_table, not_stopped, percent, stopped_early

MOST_TRIALS = 30


@dataclass(frozen=True, kw_only=True)
class Content:
    """The report's parts in the order in which they appear; a part may be None or empty where nothing is known.

    Attributes:
        scores_of_best, detection: the best trial in other measures, and its whole workflow where detection was on.
        heads: as `sweeps.report.heads.head_scores` makes it.
        trials: those that tables and plots show, best first; the other ones are in summary.csv.
        omitted: how many ranked trials that leaves out.
        unranked: trials without an average.
        tied: rows of `ranking` that cannot be told apart from the best, and the best.
        times: as `sweeps.report.pareto.time_and_accuracy` makes it; `unbeaten` is what it shows.
        shares: importance per swept key in [0, 1], largest first; `no_shares` is the reason why there are none.
    """

    title: str
    caveats: list[str]
    status: str
    ran: Grid
    tiles: list[Tile]
    verdict: list[str]
    trials: list[int]
    omitted: int
    unranked: list[int]
    ranking: Grid
    tied: list[int]
    matrix: FoldMatrix
    times: pd.DataFrame
    unbeaten: Grid | None
    scores: Grid
    left_out: Grid
    objectives: Grid | None
    best: int | None
    confusions: list[Confusion]
    swept: list[str]
    shares: dict[str, float]
    no_shares: str
    spent: Grid
    stages: Grid | None
    failures: Grid | None
    scores_of_best: Grid | None
    detection: Grid | None
    heads: pd.DataFrame
    paper: list[Comparison]
    figures: list[Picture]
    warnings: list[str]


def compose(evidence: Evidence, compared: Sequence[Comparison] = ()) -> Content:
    """Say everything there is to say about a sweep; `compared` with the paper where that was asked."""
    trials = _shown_trials(evidence)
    shares, no_shares = importances(swept_axes(evidence))
    spent, stages = account(evidence)
    times = time_and_accuracy(evidence)
    return Content(
        title=evidence.plan.name,
        caveats=caveats_of(evidence.notes),
        status=str(evidence.notes.get("status", "unknown")),
        ran=what_ran(evidence),
        tiles=headline(evidence),
        verdict=verdict(evidence),
        trials=trials,
        omitted=max(0, len(evidence.board) - len(trials)),
        unranked=sorted(set(not_stopped(evidence.folds)["trial"]) - set(evidence.board["trial"])),
        ranking=_ranking(evidence, trials),
        tied=_tied(evidence, trials),
        matrix=fold_matrix(evidence),
        times=times,
        unbeaten=unbeaten_trials(evidence, times),
        scores=_scores(evidence, trials),
        left_out=_left_out(evidence),
        objectives=objective_choices(evidence),
        best=evidence.best,
        confusions=confusions(evidence),
        swept=evidence.keys,
        shares=shares,
        no_shares=no_shares,
        spent=spent,
        stages=stages,
        failures=failures(evidence),
        scores_of_best=best_scores(evidence),
        detection=best_detection(evidence),
        heads=head_scores(evidence),
        paper=list(compared),
        figures=pictures(evidence),
        warnings=[str(warning) for warning in evidence.notes.get("warnings", [])],
    )


def _shown_trials(evidence: Evidence) -> list[int]:
    """The best trials, and the base wherever it stands; the first ones where none is ranked."""
    ranked = list(evidence.board["trial"]) or sorted(set(evidence.summary["trial"]))
    return ranked[:MOST_TRIALS] + [trial for trial in ranked[MOST_TRIALS:] if trial == 0]


def _ranking(evidence: Evidence, trials: list[int]) -> Grid:
    board = evidence.board.assign(place=range(1, len(evidence.board) + 1))
    settings = {key: evidence.of_trials(key).map(shown) for key in _differing(evidence)}
    own = evidence.plan.objective.kind != "query"  # then the differences are in another score than the average
    rows = [
        [
            str(row["place"]),
            f"{row['trial']}{'' if row['complete'] else ' (incomplete)'}",
            *([percent(row["objective"])] if own else []),
            *_against_best(row, row["trial"] == evidence.best),
            *_settings(settings, row),
        ]
        for _, row in board[board["trial"].isin(trials)].iterrows()
    ]
    room = max(0, MOST_TRIALS - len(rows))
    unscored = ["", ""] if own else [""]
    for _, row in stopped_early(evidence.folds).head(room).iterrows():
        told = [*unscored, points(row["difference"]), "", _after(row)]
        rows.append(["", f"{row['trial']} (stopped)", *told, *_settings(settings, row)])
    target = evidence.plan.objective.target
    average = f"average on {', '.join(target)}, %" if target else "average, %"
    by = ["objective, %", average, "objective to the best, points"] if own else [average, "to the best, points"]
    header = ["", "trial", *by, "95 % interval", "worse than the best?", *settings]
    return Grid.of(header, rows, names=0)


def _settings(settings: Mapping[str, pd.Series], row: pd.Series) -> list[str]:
    return [values[row["trial"]] for values in settings.values()]


def _after(row: pd.Series) -> str:
    return f"stopped after {counted(row['folds'], 'fold')}"


def _tied(evidence: Evidence, trials: list[int]) -> list[int]:
    board = evidence.board[evidence.board["trial"].isin(trials)]
    return [place for place, tied in enumerate(board["tied"] & board["mean"].notna()) if tied]


def _differing(evidence: Evidence) -> list[str]:
    """The swept keys, and shots if trials differ in it although it is not among them."""
    several = evidence.folds["shots"].nunique() > 1 and "shots" not in evidence.keys
    return [*(["shots"] if several else []), *evidence.keys]


def _against_best(row: pd.Series, is_best: bool) -> list[Cell | str]:
    average = percent(row["mean"], row["std"])
    if is_best:
        return [Cell(average, strong=True), "", "", "best"]
    worse = "cannot be told" if row["tied"] else "yes" if row["difference"] < 0 else "no, but incomplete"
    return [
        average,
        points(row["difference"]),
        interval(row["low"], row["high"]),
        worse,
    ]


def _scores(evidence: Evidence, trials: list[int]) -> Grid:
    table = format_table(evidence.summary).loc[trials]
    return Grid.of(["trial", *table.columns], ([str(trial), *row] for trial, *row in table.itertuples()), names=0)


def _left_out(evidence: Evidence) -> Grid:
    best = evidence.summary[evidence.summary["trial"] == evidence.best].set_index("category")
    several = evidence.left_out["shots"].nunique() > 1
    header = [
        "category",
        *(["shots"] if several else []),
        "chosen on the others",
        "accuracy here, %",
        "best trial here, %",
    ]
    rows = [
        [
            row["category"],
            *([str(row["shots"])] if several else []),
            _trial(row["trial"]),
            Cell(percent(row["accuracy"], row["std"]), strong=row["category"] == AVERAGE),
            percent(*best.loc[row["category"], ["mean", "std"]]),
        ]
        for _, row in evidence.left_out.iterrows()
    ]
    return Grid.of(header, rows)


def _trial(number: Any) -> str:
    return "" if pd.isna(number) else f"trial {number}"
