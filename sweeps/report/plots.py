"""The report's plots as PNG files, drawn without any global state."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, Normalize
from matplotlib.figure import Figure

from sweeps.report.axes import ACCURACY_COLORS, Axis, swept_axes
from sweeps.report.confusion import Confusion
from sweeps.report.content import Content
from sweeps.report.evidence import Evidence
from sweeps.report.grid import counted
from sweeps.report.headline import honest_estimate, prototype
from sweeps.tables import AVERAGE, DASH, seed_scores

INK, MUTED, FAINT = "#1c2733", "#8793a0", "#e3e8ed"
BLUE, ORANGE = "#1f6fb2", "#d9730d"
HEADS = ListedColormap(["#6aa5d4", "#f0a860", "#8cc5a2", "#c9a3d1", "#d7c46a", "#e28f8f", "#9fb2c4", "#b7a48f"])
WHISKER = {"ecolor": INK, "elinewidth": 1, "capsize": 2}
ACCURACY = LinearSegmentedColormap.from_list("accuracy", ACCURACY_COLORS)
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a name may hold a dollar sign
}


def draw_plots(evidence: Evidence, content: Content, folder: Path) -> dict[str, str]:
    """Draw every plot there is something to draw for; old ones in `folder` go.

    Returns the path of each, relative to the parent of `folder`, by name: ranking, heads, parallel, importances, and
    confusion-0, confusion-1, ... in the order of `content.confusions`.
    """
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    paths: dict[str, str] = {}
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        for name, draw in _drawings(evidence, content).items():
            draw().savefig(folder / f"{name}.png", dpi=170, bbox_inches="tight", pad_inches=0.08)
            paths[name] = f"{folder.name}/{name}.png"
    return paths


def _drawings(evidence: Evidence, content: Content) -> dict[str, Callable[[], Figure]]:
    drawings: dict[str, Callable[[], Figure]] = {}
    if len(evidence.board):
        drawings["ranking"] = lambda: _ranking(evidence, content.trials)
    if axes := swept_axes(evidence):
        drawings["parallel"] = lambda: _parallel(axes)
    if content.shares:
        drawings["importances"] = lambda: _importances(content.shares)
    if len(content.heads):
        drawings["heads"] = lambda: _heads(content.heads)
    for index, confusion in enumerate(content.confusions):
        drawings[f"confusion-{index}"] = partial(_confusion, confusion)
    return drawings


def _canvas(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _ranking(evidence: Evidence, trials: list[int]) -> Figure:
    """Every seed's average as a dot, mean and standard deviation as a bar, best on top."""
    board = evidence.board[evidence.board["trial"].isin(trials)]
    scores = seed_scores(evidence.folds)
    scores = scores[scores["category"] == AVERAGE]
    figure, axes = _canvas(9.6, 1.3 + 0.25 * len(board))
    for place, (_, row) in enumerate(board.iterrows()):
        color = BLUE if row["tied"] else MUTED
        seeds = 100 * scores.loc[scores["trial"] == row["trial"], "accuracy"]
        axes.plot(seeds, [place] * len(seeds), "o", ms=3.5, mfc="none", mec=color, alpha=0.7, zorder=2)
        axes.errorbar(
            100 * row["mean"], place, xerr=100 * np.nan_to_num(row["std"]), fmt="o", ms=6, lw=1.8, color=color
        )
    axes.set_yticks(range(len(board)), [_trial_label(evidence, trial) for trial in board["trial"]])
    axes.set_ylim(len(board) - 0.4, -0.6)
    axes.set_xlabel("average accuracy, %")
    axes.set_ylabel("trial")
    axes.grid(axis="x", color=FAINT)
    axes.set_axisbelow(True)
    _reference_lines(axes, evidence)
    _ranking_legend(axes)
    return figure


def _trial_label(evidence: Evidence, trial: int) -> str:
    roles = ["best"] * (trial == evidence.best) + ["base"] * (trial == 0)
    return f"{', '.join(roles)}  {trial}" if roles else str(trial)


def _reference_lines(axes: Axes, evidence: Evidence) -> None:
    """The honest estimate of the choice and the prototype bar, where there are any."""
    bar = prototype(evidence)
    estimate = honest_estimate(evidence)
    if bar is not None:
        axes.axvline(100 * bar["mean"], color=ORANGE, lw=1, ls="--", zorder=0, label="prototype bar")
    if estimate is not None:
        axes.axvline(100 * estimate["accuracy"], color=INK, lw=1, ls=":", zorder=0, label="leave-one-category-out")


def _ranking_legend(axes: Axes) -> None:
    axes.plot([], [], "o", ms=3.5, mfc="none", mec=MUTED, label="one seed")
    axes.plot([], [], "o-", ms=6, lw=1.8, color=BLUE, label="mean ± std, cannot be told from the best")
    axes.plot([], [], "o-", ms=6, lw=1.8, color=MUTED, label="mean ± std, worse than the best")
    _legend_on_top(axes, axes.get_legend_handles_labels()[0])


def _legend_on_top(axes: Axes, handles: list[Any]) -> None:
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
    )


def _heads(scores: pd.DataFrame) -> Figure:
    """A bar per head, side by side at every number of shots, with the paper's average where it has one (figure 6)."""
    heads, shots = sorted(scores["head"].unique()), sorted(scores["shots"].unique())
    width = 0.8 / len(heads)
    figure, axes = _canvas(max(4.5, 1.4 + 0.55 * len(heads) * len(shots)), 3.6)
    for place, head in enumerate(heads):
        mine = scores[scores["head"] == head]
        x = mine["shots"].map(shots.index).to_numpy() + (place - (len(heads) - 1) / 2) * width
        mean, spread = 100 * mine["mean"], 100 * mine["std"].fillna(0)
        axes.bar(x, mean, 0.92 * width, yerr=spread, color=HEADS(place % HEADS.N), label=head, error_kw=WHISKER)
        axes.plot(x, 100 * mine["paper"], "D", ms=6, mfc="white", mec=INK, zorder=3)
        for at, height in zip(x, mean, strict=True):
            axes.text(at, 1, f"{height:.1f}", ha="center", va="bottom", fontsize=8)
    handles = axes.get_legend_handles_labels()[0]
    if scores["paper"].notna().any():
        handles += axes.plot([], [], "D", ms=6, mfc="white", mec=INK, label="the paper's average")
    axes.set_xticks(range(len(shots)), [counted(n, "shot") for n in shots])
    axes.set_ylabel("average accuracy, %")
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    _legend_on_top(axes, handles)
    return figure


def _confusion(confusion: Confusion) -> Figure:
    """Counts as numbers, shares of the true class as colour."""
    n = len(confusion.classes)
    figure, axes = _canvas(1.2 + 0.55 * n, 0.8 + 0.42 * n)
    axes.imshow(confusion.shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), count in np.ndenumerate(confusion.counts):
        color = "white" if confusion.shares[row, column] > 0.55 else INK if count else MUTED
        axes.text(column, row, str(count), ha="center", va="center", color=color)
    axes.set_xlim(-0.5, n + 0.5)
    for row, recall in enumerate(confusion.recalls):
        axes.text(n, row, DASH if np.isnan(recall) else f"{100 * recall:.0f}", ha="center", va="center", color=MUTED)
    axes.set_xticks(range(n + 1), [*confusion.classes, "recall, %"], rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(n), confusion.classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(confusion.category, loc="left", fontweight="bold", fontsize=10)
    return figure


def _parallel(axes: list[Axis]) -> Figure:
    """One line per ranked trial through its settings to its accuracy, which is also its colour; best on top."""
    heights = np.array([(axis.places - axis.bounds[0]) / np.ptp(axis.bounds) for axis in axes])
    norm = Normalize(axes[-1].places.min(), axes[-1].places.max())
    figure, plot = _canvas(max(4.5, 1.7 * len(axes)), 3.8)
    for trial in reversed(range(heights.shape[1])):
        color = ACCURACY(norm(axes[-1].places[trial]))
        plot.plot(heights[:, trial], color=color, lw=2.6 if trial == 0 else 1.1, alpha=0.85)
    for x, axis in enumerate(axes):
        _upright_axis(plot, x, axis)
    plot.set_xlim(-0.3, len(axes) - 0.4)
    plot.set_ylim(-0.05, 1.25)
    plot.set_axis_off()
    figure.colorbar(ScalarMappable(norm, ACCURACY), ax=plot, label=axes[-1].name, shrink=0.8, pad=0.02)
    return figure


def _upright_axis(plot: Axes, x: int, axis: Axis) -> None:
    plot.plot([x, x], [0, 1], color=INK, lw=0.8)
    plot.text(x, 1.06, axis.name.replace(".", ".\n"), ha="center", va="bottom", fontweight="bold", fontsize=8)
    for tick, label in zip(axis.ticks, axis.labels, strict=True):
        y = (tick - axis.bounds[0]) / np.ptp(axis.bounds)
        plot.plot([x - 0.02, x], [y, y], color=INK, lw=0.8)
        plot.text(
            x - 0.04,
            y,
            label,
            ha="right",
            va="center",
            fontsize=8,
            bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.8},
        )


def _importances(shares: dict[str, float]) -> Figure:
    figure, axes = _canvas(6, 0.7 + 0.3 * len(shares))
    bars = axes.barh(list(shares), [100 * share for share in shares.values()], color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("share of the accuracy's variation between trials, %")
    return figure
