"""How much each swept key moves the accuracy."""

from __future__ import annotations

from matplotlib.figure import Figure

from sweeps.report.plots.style import BLUE, canvas


def draw_importances(shares: dict[str, float]) -> Figure:
    """A bar per key, the longest on top."""
    figure, axes = canvas(6, 0.7 + 0.3 * len(shares))
    bars = axes.barh(list(shares), [100 * share for share in shares.values()], color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("share of the accuracy's variation between trials, %")
    return figure
