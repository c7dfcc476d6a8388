"""Slices: accuracy against each swept key."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from sweeps.report.plots.axes import Axis
from sweeps.report.plots.style import BLUE, FAINT, INK, ORANGE

COLUMNS = 3
JITTER = 0.28  # how far a dot of a strip may stand from its name, where names are 1 apart
FEWEST_FOR_TREND = 40  # trials
MOST_LABELS = 8  # upright names of a strip


def draw_slices(axes: list[Axis]) -> Figure:
    """Draw a small plot per swept key, trials as dots, best first in `axes`; the last of `axes` is the accuracy."""
    *keys, accuracy = axes
    rows = -(-len(keys) // COLUMNS)
    figure = Figure(figsize=(10.6, 2.7 * rows), layout=ConstrainedLayoutEngine(h_pad=0.12))
    plots = figure.subplots(rows, min(COLUMNS, len(keys)), sharey=True, squeeze=False)
    for plot, key in zip(plots.flat, keys, strict=False):
        _slice(plot, key, accuracy)
    for plot in plots.flat[len(keys) :]:
        plot.set_visible(False)
    for row in plots:
        row[0].set_ylabel(accuracy.name)
    return figure


def _slice(plot: Axes, key: Axis, accuracy: Axis) -> None:
    many = len(key.places) >= FEWEST_FOR_TREND
    size, alpha = (9, 0.35) if many else (26, 0.75)
    places = key.places + _jitter(len(key.places)) if key.categorical else key.places
    plot.scatter(places, accuracy.places, s=size, color=BLUE, alpha=alpha, linewidths=0)
    plot.plot(places[0], accuracy.places[0], "D", ms=7, mfc=ORANGE, mec="white", zorder=4)
    if key.categorical:
        for tick in key.ticks:
            median = np.median(accuracy.places[key.places == tick])
            plot.hlines(median, tick - 0.38, tick + 0.38, color=INK, lw=2, zorder=3)
        plot.set_xlim(key.ticks[0] - 0.6, key.ticks[-1] + 0.6)
    elif many:
        plot.plot(*_trend(key.places, accuracy.places), color=INK, lw=2, zorder=3)
    few = len(key.ticks) <= MOST_LABELS and sum(map(len, key.labels)) <= 40
    plot.set_xticks(key.ticks, key.labels, rotation=0 if few else 35, ha="center" if few else "right")
    plot.set_title(key.name, fontsize=9, fontweight="bold", loc="left")
    plot.grid(axis="y", color=FAINT)
    plot.set_axisbelow(True)


def _jitter(count: int) -> np.ndarray:
    """Spread evenly and the same every time, by the golden ratio; the best in the middle."""
    return JITTER * (2 * ((np.arange(count) * 0.618034 + 0.5) % 1) - 1)


def _trend(places: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Medians of places and values of eight parts of equally many trials."""
    parts = np.array_split(np.argsort(places, kind="stable"), 8)
    middles = [[np.median(side[part]) for side in (places, values)] for part in parts]
    return np.array(middles).T[0], np.array(middles).T[1]
