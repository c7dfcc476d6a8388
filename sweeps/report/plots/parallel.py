"""Parallel coordinates: a line per trial through its settings to its accuracy."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from sweeps.report.plots.axes import Axis
from sweeps.report.plots.style import ACCURACY, INK, canvas

MANY = 100  # lines; above it they are thin


def draw_parallel(axes: list[Axis]) -> Figure:
    """Draw a line per ranked trial through its settings to its accuracy, which is also its colour; best on top."""
    heights = np.array([(axis.places - axis.bounds[0]) / np.ptp(axis.bounds) for axis in axes])
    norm = Normalize(axes[-1].places.min(), axes[-1].places.max())
    figure, plot = canvas(max(4.5, 1.7 * len(axes)), 3.8)
    order = np.arange(heights.shape[1])[::-1]
    lines = [np.column_stack([range(len(axes)), heights[:, trial]]) for trial in order]
    widths = np.where(order == 0, 2.6, 1.1 if len(order) < MANY else 0.5)
    plot.add_collection(LineCollection(lines, colors=ACCURACY(norm(axes[-1].places[order])), lw=widths, alpha=0.85))
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
