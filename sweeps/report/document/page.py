"""Reports as one HTML file that needs nothing else."""

from __future__ import annotations

from pathlib import Path

import jinja2
from markupsafe import Markup, escape
from PIL import Image

from fsamc.data.pictures.encoding import inlined
from fsamc.html_templates import templates_in
from sweeps.report.document.embedding import embedded
from sweeps.report.document.report_blocks import Block, Picture, Report, Thumbnail

PER_INCH = 112  # pixels of the page to an inch of a plot


def to_page(report: Report, out: Path) -> str:
    """Render a report with its plots and pictures, which lie in `out`, inside."""
    pictures = [block.path for block in report.blocks if isinstance(block, Picture)]
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=report,
            images={plot.name: _image(out / plot.path) for plot in report.plots},
            pictures=dict(zip(pictures, embedded([out / path for path in pictures]), strict=True)),
        )
    )


def _environment() -> jinja2.Environment:
    """Templates of reports, and the filters in them."""
    environment = templates_in(Path(__file__).parent)
    environment.filters |= {
        "breakable": _breakable,
        "source": _source,
        "kind": _kind,
    }
    return environment


def _image(png: Path) -> Markup:
    """Return address and width of a plot inside the page, where letters of all plots are of one size."""
    content = png.read_bytes()
    with Image.open(png) as image:
        inches = image.width / image.info["dpi"][0]
    return Markup('src="{}" width="{}"').format(inlined(content, "png"), round(PER_INCH * inches))


def _breakable(name: str) -> Markup:
    """Let a dotted key be broken after its dots."""
    return escape(name).replace(".", Markup(".<wbr>"))


def _source(picture: Thumbnail) -> str:
    """Return the address of a small picture, which holds it."""
    return inlined(picture.jpeg, "jpeg")


def _kind(block: Block) -> str:
    """Return the name of the macro in blocks.html.j2 that shows a block."""
    return type(block).__name__.lower()
