"""One category's confusion matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sweeps.report.confusion import Confusion
from sweeps.report.plots.style import INK, MUTED, canvas
from sweeps.results.tables import DASH


def draw_confusion(confusion: Confusion) -> Figure:
    """Counts as numbers, shares of the true class as colour."""
    n = len(confusion.classes)
    figure, axes = canvas(1.2 + 0.55 * n, 0.8 + 0.42 * n)
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
