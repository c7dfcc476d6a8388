"""Accuracy against time: which trials are beaten in neither."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from sweeps.report.document.numbers import duration, shown
from sweeps.report.document.report_blocks import Cell, Table
from sweeps.report.evidence import Evidence
from sweeps.report.plots.style import BLUE, FAINT, INK, MUTED, canvas, legend_on_top
from sweeps.results.tables import finished, percent, unbeaten

MOST_ROWS = 15
WIDE = 8.0  # a range of seconds with a larger ratio than this is logarithmic
APART = 34  # pixels between two labels


def time_and_accuracy(evidence: Evidence) -> pd.DataFrame:
    """Collect the complete trials, quickest first.

    Returns columns trial, mean, std, seconds: a fold's mean, and unbeaten: no other trial is at least as good in both
    accuracy and time, and better in one.
    """
    board = evidence.ranked[evidence.ranked["complete"]]
    seconds = finished(evidence.folds).groupby("trial")["seconds"].mean()
    times = board[["trial", "mean", "std"]].assign(seconds=board["trial"].map(seconds)).dropna(subset="seconds")
    return times.assign(unbeaten=unbeaten(times["mean"].to_numpy(), times["seconds"].to_numpy())).sort_values(
        ["seconds", "mean", "trial"], ascending=[True, False, True], ignore_index=True
    )


def unbeaten_trials(evidence: Evidence, times: pd.DataFrame) -> Table | None:
    """List the unbeaten trials with their settings, quickest first; of many, the most accurate ones."""
    front = times[times["unbeaten"]]
    if len(times) < 2:
        return None
    settings = {key: evidence.of_trials(key).map(shown) for key in evidence.keys}
    rows = [
        [
            Cell(str(row["trial"]), strong=row["trial"] == evidence.best),
            duration(row["seconds"]),
            percent(row["mean"], row["std"]),
            *(values[row["trial"]] for values in settings.values()),
        ]
        for _, row in front.tail(MOST_ROWS).iterrows()
    ]
    return Table.of(["trial", "time of a fold", "average, %", *settings], rows, names=0)


def draw_pareto(times: pd.DataFrame) -> Figure:
    """Draw a dot per trial; those beaten in neither are joined by steps and named."""
    figure, axes = canvas(10.6, 4.4)
    front, others = times[times["unbeaten"]], times[~times["unbeaten"]]
    size, alpha = (10, 0.35) if len(times) > 100 else (30, 0.8)
    axes.scatter(
        others["seconds"], 100 * others["mean"], s=size, alpha=alpha, color=MUTED, lw=0, label="beaten in both"
    )
    axes.plot(front["seconds"], 100 * front["mean"], "o-", color=BLUE, ms=7, lw=1.4, drawstyle="steps-post", zorder=3)
    axes.plot([], [], "o-", color=BLUE, ms=7, lw=1.4, label="not beaten in both accuracy and time (trial number)")
    if times["seconds"].min() > 0 and times["seconds"].max() > WIDE * times["seconds"].min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: shown(value)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.margins(x=0.08, y=0.12)
    _name(axes, front)
    axes.set_xlabel("seconds of a fold, mean over the trial's folds")
    axes.set_ylabel("average accuracy, %")
    axes.grid(color=FAINT)
    axes.set_axisbelow(True)
    legend_on_top(axes, axes.get_legend_handles_labels()[0])
    return figure


def _name(axes: Axes, front: pd.DataFrame) -> None:
    """Write the numbers of the trials, the most accurate first, where there is room for them."""
    named: list[np.ndarray] = []
    for _, row in front.iloc[::-1].iterrows():
        place = (row["seconds"], 100 * row["mean"])
        at = axes.transData.transform(place)
        if all(np.abs(at - other).max() >= APART for other in named):
            axes.annotate(str(row["trial"]), place, xytext=(-5, 5), textcoords="offset points", ha="right", color=INK)
            named.append(at)
