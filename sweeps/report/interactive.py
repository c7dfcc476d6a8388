"""The one plot that needs hands: parallel coordinates to brush."""

from __future__ import annotations

import html

import plotly.graph_objects as go

from sweeps.report.axes import ACCURACY_COLORS, Axis


def parallel_coordinates_page(axes: list[Axis]) -> str:
    """HTML of the parallel coordinates, for a page that holds plotly.js. Names are escaped for plotly's own markup."""
    trace = go.Parcoords(
        dimensions=[_dimension(axis) for axis in axes],
        line={"color": axes[-1].places, "colorscale": ACCURACY_COLORS, "showscale": True},
        labelside="top",
    )
    figure = go.Figure(
        trace, layout={"template": "none", "height": 430, "margin": {"l": 90, "r": 40, "t": 60, "b": 30}}
    )
    figure.update_layout(font={"family": "system-ui, sans-serif", "size": 13, "color": "#1c2733"})
    return figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id="parallel-coordinates",
        default_height="430px",
        config={"displayModeBar": False, "responsive": True},
    )


def _dimension(axis: Axis) -> dict:
    return {
        "label": html.escape(axis.name, quote=False),
        "values": axis.places,
        "range": axis.bounds,
        "tickvals": axis.ticks,
        "ticktext": [html.escape(label, quote=False) for label in axis.labels],
    }
