"""Heat map of every fold of every trial: where a trial is good, and where the sweep has holes."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from fsamc.counting import counted
from sweeps.report.evidence import Evidence
from sweeps.report.plots.style import ACCURACY, INK, canvas
from sweeps.results.tables import FOLD, finished

MOST_CELLS = 100_000  # what can still be told apart on a page
MOST_LABELS = 60  # of rows or columns; above it they would overlap
MOST_NUMBERS = 24  # columns whose cells have room for a number


@dataclass(frozen=True)
class FoldMatrix:
    """Accuracy float64 [T, F] in [0, 1] of T trials, best first, on F folds; NaN where a fold has no result.

    Attributes:
        trials: their numbers; those without an average last.
        folds: category, seed, draw and shots of every column.
        omitted: how many trials of the sweep are not among them.
    """

    trials: list[int]
    folds: list[tuple[str, int, int, int]]
    accuracy: np.ndarray
    omitted: int

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest accuracy in percent, with some room if that is one point."""
        low, high = 100 * np.nanmin(self.accuracy), 100 * np.nanmax(self.accuracy)
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    def label(self, fold: tuple[str, int, int, int]) -> str:
        """Name a fold of a category: its seed and draw, and its shots where there are several."""
        _, seed, draw, shots = fold
        several = len({shots for *_, shots in self.folds}) > 1
        return f"seed {seed}, draw {draw}" + (f", {counted(shots, 'shot')}" if several else "")


def fold_matrix(evidence: Evidence) -> FoldMatrix:
    """Collect the accuracies of the best trials on every fold, of as many trials as MOST_CELLS holds."""
    table = finished(evidence.folds).pivot(index="trial", columns=FOLD, values="accuracy")
    ranked = [trial for trial in evidence.board["trial"] if trial in table.index]
    order = [*ranked, *sorted(set(table.index) - set(ranked))]
    shown = order[: max(1, MOST_CELLS // len(table.columns))]
    folds: list[Any] = table.columns.to_list()
    return FoldMatrix(shown, folds, table.loc[shown].to_numpy(float), len(order) - len(shown))


def draw_heatmap(matrix: FoldMatrix) -> Figure:
    """Draw trials as rows, best on top, folds as columns under the names of their categories; no result is white."""
    rows, columns = matrix.accuracy.shape
    figure, axes = canvas(min(10.6, 2.2 + 0.5 * columns), 1.2 + min(9.0, 0.22 * max(rows, 4)))
    shares = 100 * matrix.accuracy
    norm = Normalize(*matrix.bounds)
    image = axes.imshow(shares, cmap=ACCURACY, norm=norm, aspect="auto", interpolation="nearest")
    _rows(axes, matrix)
    _columns(axes, matrix)
    _numbers(axes, shares, norm)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    figure.colorbar(image, ax=axes, label="accuracy, %", pad=0.02, aspect=max(8, min(30, 2 * rows)))
    return figure


def _rows(axes: Axes, matrix: FoldMatrix) -> None:
    if len(matrix.trials) <= MOST_LABELS:
        axes.set_yticks(range(len(matrix.trials)), [str(trial) for trial in matrix.trials])
        axes.set_ylabel("trial, best first")
        axes.hlines(np.arange(0.5, len(matrix.trials) - 1), -0.5, len(matrix.folds) - 0.5, color="white", lw=1)
    else:
        axes.set_ylabel("place in the ranking")


def _numbers(axes: Axes, shares: np.ndarray, norm: Normalize) -> None:
    """Write percentages into the cells, where they have room; in white on the dark half of the colours."""
    rows, columns = shares.shape
    if rows > MOST_LABELS or columns > MOST_NUMBERS:
        return
    for row, column in np.argwhere(~np.isnan(shares)):
        red, green, blue, _ = ACCURACY(norm(shares[row, column]))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        ink = "white" if dark else INK
        axes.text(column, row, f"{shares[row, column]:.0f}", ha="center", va="center", fontsize=7, color=ink)


def _columns(axes: Axes, matrix: FoldMatrix) -> None:
    few = len(matrix.folds) <= MOST_LABELS
    labels = [matrix.label(fold) for fold in matrix.folds]
    axes.set_xticks(range(len(labels)) if few else [], labels if few else [], rotation=90, fontsize=8)
    place = 0
    for category, of_category in groupby(matrix.folds, key=lambda fold: fold[0]):
        count = len(list(of_category))
        if place:
            axes.axvline(place - 0.5, color="white", lw=4)
        axes.annotate(
            category,
            (place - 0.4, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 4),
            textcoords="offset points",
            fontweight="bold",
            color=INK,
            rotation=0 if count * 0.5 > 0.09 * len(category) and len(matrix.folds) <= 20 else 40,
        )
        place += count
