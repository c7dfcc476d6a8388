"""The plots that need hands: parallel coordinates to brush, a heat map to point at."""

from __future__ import annotations

import html

import numpy as np
import plotly.graph_objects as go

from sweeps.report.axes import ACCURACY_COLORS, Axis
from sweeps.report.heatmap import FoldMatrix

FONT = {"family": "system-ui, sans-serif", "size": 13, "color": "#1c2733"}


def parallel_coordinates(axes: list[Axis]) -> go.Figure:
    """A line per trial through its settings to its accuracy. Names are escaped for plotly's own markup."""
    trace = go.Parcoords(
        dimensions=[_dimension(axis) for axis in axes],
        line={"color": axes[-1].places, "colorscale": ACCURACY_COLORS, "showscale": True},
        labelside="top",
    )
    layout = {"template": "none", "height": 430, "margin": {"l": 90, "r": 40, "t": 60, "b": 30}, "font": FONT}
    return go.Figure(trace, layout)


def heatmap(matrix: FoldMatrix) -> go.Figure:
    """Every fold of the trials in `matrix`, best on top."""
    folds = [f"{html.escape(name, quote=False)}, seed {seed}, draw {draw}" for name, seed, draw in matrix.folds]
    trials = [f"trial {trial}" for trial in matrix.trials]
    trace = go.Heatmap(
        z=np.round(100 * matrix.accuracy, 1).astype("float32"),
        x=folds,
        y=trials,
        colorscale=ACCURACY_COLORS,
        colorbar={"title": {"text": "accuracy, %"}},
        hovertemplate="%{y}<br>%{x}<br>%{z:.1f} %<extra></extra>",
        hoverongaps=False,
        xgap=1,
        ygap=1 if len(trials) <= 100 else 0,
    )
    layout = {
        "template": "none",
        "height": int(min(900, 150 + 24 * max(3, len(trials)))),
        "margin": {"l": 20, "r": 20, "t": 10, "b": 20},
        "font": FONT,
        "xaxis": {"type": "category", "automargin": True, "showgrid": False},
        "yaxis": {"type": "category", "automargin": True, "autorange": "reversed", "showgrid": False},
    }
    return go.Figure(trace, layout)


def _dimension(axis: Axis) -> dict:
    return {
        "label": html.escape(axis.name, quote=False),
        "values": axis.places,
        "range": axis.bounds,
        "tickvals": axis.ticks,
        "ticktext": [html.escape(label, quote=False) for label in axis.labels],
    }
