"""Every fold of the best trials as a picture, for paper."""

from __future__ import annotations

from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sweeps.report.heatmap import FoldMatrix
from sweeps.report.plots.style import ACCURACY, INK, canvas

MOST_LABELS = 60  # of rows or columns; above it they would overlap


def draw_heatmap(matrix: FoldMatrix) -> Figure:
    """Rows are trials, best on top; columns folds, under the names of their categories. A missing fold is white."""
    rows, columns = matrix.accuracy.shape
    figure, axes = canvas(min(10.6, 2.2 + 0.5 * columns), 1.2 + min(9.0, 0.22 * max(rows, 4)))
    shares = 100 * matrix.accuracy
    norm = Normalize(*matrix.bounds)
    image = axes.imshow(shares, cmap=ACCURACY, norm=norm, aspect="auto", interpolation="nearest")
    _rows(axes, matrix)
    _columns(axes, matrix)
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


def _columns(axes: Axes, matrix: FoldMatrix) -> None:
    few = len(matrix.folds) <= MOST_LABELS
    labels = [f"seed {seed}, draw {draw}" for _, seed, draw in matrix.folds]
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
