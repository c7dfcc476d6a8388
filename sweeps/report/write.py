"""Writing a sweep's report: report.md, report.html and the plots they show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rich.console import RenderableType

from sweeps.report.document.console import blocks_on_screen
from sweeps.report.document.markdown import to_markdown
from sweeps.report.document.page import to_page
from sweeps.report.evidence import gather
from sweeps.report.paper_comparison import compare_with_paper
from sweeps.report.plots.draw import draw_plots
from sweeps.report.sections import sweep_report
from sweeps.results.files import write_whole


def write_report(out: Path, *, paper: bool = False) -> Path:
    """Write report.md, report.html and plots/*.png of the sweep in `out`, finished or still running.

    With `paper`, our numbers are also compared with those of the paper's tables that the sweep answers.

    Returns the path of report.html, which needs no other file and no network.
    Raises BadInput if `out` has no plan, no folds.csv or no finished fold in it, or answers no table of the paper.
    """
    evidence = gather(out)
    report = sweep_report(evidence, compare_with_paper(evidence, out) if paper else ())
    draw_plots(report, out)
    write_whole(out / "report.md", to_markdown(report))
    write_whole(out / "report.html", to_page(report, out))
    return out / "report.html"


def paper_on_screen(out: Path) -> Iterator[RenderableType]:
    """Yield the comparison of a sweep with the paper. Raises BadInput if it answers no table of the paper."""
    return blocks_on_screen(compare_with_paper(gather(out), out))
