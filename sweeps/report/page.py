"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2
import plotly.graph_objects as go
from markupsafe import Markup, escape
from plotly.offline import get_plotlyjs

from sweeps.report.axes import swept_axes
from sweeps.report.content import Content
from sweeps.report.embedding import embedded
from sweeps.report.evidence import Evidence
from sweeps.report.interactive import heatmap, parallel_coordinates
from sweeps.report.plots.style import DPI

PER_INCH = 112  # pixels of the page to an inch of a plot


def render_page(evidence: Evidence, content: Content, plots: dict[str, Path], out: Path) -> str:
    """Write the page with its plots, the figures in `out`, and plotly.js, packed to 2 MB, inside."""
    axes = swept_axes(evidence)
    figures = {"heatmap": heatmap(content.matrix)} | ({"parallel": parallel_coordinates(axes)} if axes else {})
    return (
        environment()
        .get_template("page.html.j2")
        .render(
            content=content,
            images={name: Image.of(path) for name, path in plots.items()},
            embedded=embedded([out / figure.file for figure in content.figures]),
            specs={name: _in_script(figure) for name, figure in figures.items()},
            plotly=Markup(_packed_plotly()),
        )
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
    made.filters["breakable"] = _breakable
    return made


@dataclass(frozen=True)
class Image:
    """A plot inside the page: its `data:` address, and how many pixels wide it stands there."""

    address: str
    width: int

    @classmethod
    def of(cls, path: Path) -> Image:
        """Of a PNG drawn by `draw_plots`: letters of all plots are of one size on the page."""
        png = path.read_bytes()
        width = int.from_bytes(png[16:20], "big")
        return cls("data:image/png;base64," + base64.b64encode(png).decode(), round(width * PER_INCH / DPI))


def _breakable(name: str) -> Markup:
    """A dotted key that may be broken after its dots."""
    return escape(name).replace(".", Markup(".<wbr>"))


def _in_script(figure: go.Figure) -> Markup:
    """JSON of a figure that cannot end the script it stands in. Names are escaped already, for plotly's own markup."""
    return Markup(figure.to_json().replace("<", "\\u003c"))


@cache
def _packed_plotly() -> str:
    return base64.b64encode(gzip.compress(get_plotlyjs().encode(), 9, mtime=0)).decode()
