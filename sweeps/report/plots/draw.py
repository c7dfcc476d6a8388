"""Drawing the plots of a document to PNG files, without any global state."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import matplotlib as mpl

from sweeps.report.document.report_blocks import Report
from sweeps.report.plots.style import DPI, STYLE
from sweeps.results.files import write_whole


def draw_plots(document: Report, out: Path) -> None:
    """Draw every plot of a document that lies in `out`; old ones in `out`/plots go."""
    (out / "plots").mkdir(exist_ok=True)
    for old in (out / "plots").glob("*.png"):
        old.unlink()
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        for plot in document.plots:
            png = io.BytesIO()
            plot.draw().savefig(png, dpi=DPI, bbox_inches="tight", pad_inches=0.08)
            write_whole(out / plot.path, png.getvalue())
