"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import gzip
from functools import cache
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sweeps.report.axes import swept_axes
from sweeps.report.content import Content
from sweeps.report.embedding import embedded
from sweeps.report.evidence import Evidence
from sweeps.report.interactive import heatmap, parallel_coordinates


def render_page(evidence: Evidence, content: Content, plots: dict[str, Path], out: Path) -> str:
    """Write the page with its plots, the figures in `out`, and plotly.js, packed to 2 MB, inside."""
    axes = swept_axes(evidence)
    figures = {"heatmap": heatmap(content.matrix)} | ({"parallel": parallel_coordinates(axes)} if axes else {})
    return environment().get_template("page.html.j2").render(
        content=content,
        images={name: _data_uri(path) for name, path in plots.items()},
        embedded=embedded([out / figure.file for figure in content.figures]),
        specs={name: _in_script(figure) for name, figure in figures.items()},
        plotly=Markup(_packed_plotly()),
    )


def environment() -> jinja2.Environment:
    """Templates of HTML pages: names are escaped, and what is missing is an error."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return made


def _in_script(figure: go.Figure) -> Markup:
    """JSON of a figure that cannot end the script it stands in. Names are escaped already, for plotly's own markup."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


@cache
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
