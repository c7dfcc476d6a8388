"""The ranking: how good each trial is, and how surely it is worse than the best."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sweeps.report.evidence import Evidence
from sweeps.report.headline import honest_estimate, prototype
from sweeps.report.plots.style import BLUE, FAINT, INK, MUTED, ORANGE
from sweeps.results.objective import reported
from sweeps.results.tables import AVERAGE, over_shots, seed_scores

ROW = 0.25  # inches


def draw_ranking(evidence: Evidence, trials: list[int]) -> Figure:
    """Draw the best on top: left, averages, rings are seeds; right, the paired difference to the best, its interval.

    What cannot be told apart from the best is blue and filled, what is worse grey and hollow.
    """
    board = evidence.ranked[evidence.ranked["trial"].isin(trials)]
    figure = Figure(figsize=(10.6, 1.3 + ROW * len(board)))
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 2], gridspec_kw={"wspace": 0.06})
    _averages(left, evidence, board)
    _differences(right, evidence, board)
    left.set_yticks(range(len(board)), [_label(evidence, trial) for trial in board["trial"]])
    left.set_ylim(len(board) - 0.4, -0.6)
    left.set_ylabel("trial, best first")
    for axes in (left, right):
        axes.grid(axis="x", color=FAINT)
        axes.set_axisbelow(True)
    right.tick_params(axis="y", length=0)
    return figure


def _averages(axes: Axes, evidence: Evidence, board: pd.DataFrame) -> None:
    """Draw every seed's average as a ring, mean and standard deviation as a bar."""
    scores = over_shots(seed_scores(reported(evidence.plan, evidence.folds)))
    by_trial = scores[scores["category"] == AVERAGE].groupby("trial")["accuracy"]
    for place, (_, row) in enumerate(board.iterrows()):
        seeds = 100 * by_trial.get_group(row["trial"])
        axes.plot(seeds, [place] * len(seeds), "o", ms=3.5, mfc="none", mec=_color(row), alpha=0.7, zorder=2)
        _bar(axes, row, place, 100 * row["mean"], 100 * np.nan_to_num(row["std"]))
    axes.set_xlabel("average accuracy, %: mean ± std over seeds")
    lines = _reference_lines(axes, evidence)
    ring = Line2D([], [], ls="", marker="o", ms=3.5, mfc="none", mec=MUTED, label="one seed")
    _legend(axes, [*lines, ring])


def _differences(axes: Axes, evidence: Evidence, board: pd.DataFrame) -> None:
    """Draw the mean of the paired differences to the best and its 95 % interval; a dot alone has none."""
    axes.axvline(0, color=INK, lw=1, zorder=1)
    for place, (_, row) in enumerate(board.iterrows()):
        if row["trial"] == evidence.best:
            axes.plot(0, place, "D", ms=6, color=INK, zorder=3)
        elif not np.isnan(row["difference"]):
            half = 100 * np.nan_to_num(row["high"] - row["difference"])
            _bar(axes, row, place, 100 * row["difference"], half)
    axes.set_xlabel("difference to the best, points: 95 % interval")
    tied = Line2D([], [], color=BLUE, marker="o", ms=6, lw=1.8, label="cannot be told apart")
    worse = Line2D([], [], color=MUTED, marker="o", ms=6, lw=1.8, mfc="white", label="worse")
    best = Line2D([], [], color=INK, marker="D", ms=6, ls="", label="the best")
    _legend(axes, [best, tied, worse])


def _bar(axes: Axes, row: pd.Series, place: int, middle: float, half: float) -> None:
    fill = _color(row) if row["tied"] else "white"
    axes.errorbar(middle, place, xerr=half, fmt="o", ms=6, lw=1.8, mfc=fill, color=_color(row), zorder=3)


def _color(row: pd.Series) -> str:
    return BLUE if row["tied"] else MUTED


def _legend(axes: Axes, handles: list[Line2D]) -> None:
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0.2,
        ncols=3,
        columnspacing=1.2,
        handletextpad=0.5,
        frameon=False,
        fontsize=8,
    )


def _label(evidence: Evidence, trial: int) -> str:
    roles = ["best"] * (trial == evidence.best) + ["base"] * (trial == 0)
    return f"{', '.join(roles)}  {trial}" if roles else str(trial)


def _reference_lines(axes: Axes, evidence: Evidence) -> list[Line2D]:
    """Draw the honest estimate of the choice and the prototype bar, where there are any."""
    bar = prototype(evidence)
    estimate = honest_estimate(evidence)
    lines = []
    if bar is not None:
        lines.append(axes.axvline(100 * bar["mean"], color=ORANGE, lw=1, ls="--", zorder=1, label="prototype bar"))
    if estimate is not None:
        accuracy = 100 * estimate["accuracy"]
        lines.append(axes.axvline(accuracy, color=INK, lw=1, ls=":", zorder=1, label="leave-one-category-out"))
    return lines
