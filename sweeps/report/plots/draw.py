"""Drawing the plots of a report to PNG files."""

from __future__ import annotations

from pathlib import Path

from fsamc.store.durable import write_whole
from sweeps.report.document.report_blocks import Report
from sweeps.report.plots.style import DPI, to_png


def draw_plots(report: Report, out: Path) -> None:
    """Draw every plot of a report that lies in `out`; old ones in `out`/plots go."""
    (out / "plots").mkdir(exist_ok=True)
    for old in (out / "plots").glob("*.png"):
        old.unlink()
    for plot in report.plots:
        write_whole(out / plot.path, to_png(plot.draw, dpi=DPI, bbox_inches="tight", pad_inches=0.08))
