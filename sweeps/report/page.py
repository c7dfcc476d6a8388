"""The report as one HTML file that needs nothing else."""

from __future__ import annotations

import base64
from pathlib import Path

import jinja2
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sweeps.report.axes import swept_axes
from sweeps.report.content import Content
from sweeps.report.evidence import Evidence
from sweeps.report.interactive import parallel_coordinates_page


def render_page(evidence: Evidence, content: Content, plots: dict[str, Path]) -> str:
    """Write the page with its plots inside; plotly.js (5 MB) only if there is something to brush."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    axes = swept_axes(evidence)
    return environment.get_template("page.html.j2").render(
        content=content,
        images={name: _data_uri(path) for name, path in plots.items()},
        # plotly escapes what is inside its own script
        parallel=Markup(parallel_coordinates_page(axes)) if axes else None,
        plotly=Markup(get_plotlyjs()) if axes else None,
    )


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()
