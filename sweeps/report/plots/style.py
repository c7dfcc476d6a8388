"""Style of every plot: dark ink on white, one scale of accuracy, colours that the colour-blind can tell apart."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, ListedColormap
from matplotlib.figure import Figure

from sweeps.report.plots.axes import ACCURACY_COLORS

DPI = 170
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


def to_png(draw: Callable[[], Figure], **how: Any) -> bytes:
    """Draw a figure in this style, without any global state; `how` is for `savefig`."""
    png = io.BytesIO()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        draw().savefig(png, format="png", **how)
    return png.getvalue()


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """Make a figure of so many inches with one plot."""
    figure = Figure(figsize=(width, height))
    return figure, figure.add_subplot()


def legend_on_top(axes: Axes, handles: list[Any]) -> None:
    """Set a legend above the plot, where it hides nothing."""
    axes.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=3,
        frameon=False,
        fontsize=8,
        borderaxespad=0.2,
    )
