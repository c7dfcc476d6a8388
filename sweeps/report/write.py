"""Writing a sweep's report: report.md, report.html and the plots they show."""

from __future__ import annotations

from pathlib import Path

from sweeps.report.content import compose
from sweeps.report.evidence import gather
from sweeps.report.markdown import render_markdown
from sweeps.report.page import render_page
from sweeps.report.paper_comparison import beside_paper
from sweeps.report.plots import draw_plots
from sweeps.results.files import write_whole


def write_report(out: Path, *, paper: bool = False) -> Path:
    """Write report.md, report.html and plots/*.png of the sweep in `out`, finished or still running.

    With `paper`, our numbers also stand beside those of the paper's tables that the sweep answers.

    Returns the path of report.html, which needs no other file and no network.
    Raises BadInput if `out` has no plan, no folds.csv or no finished fold in it, or answers no table of the paper.
    """
    evidence = gather(out)
    content = compose(evidence, beside_paper(evidence, out) if paper else [])
    plots = draw_plots(evidence, content, out / "plots")
    page = render_page(evidence, content, {name: out / path for name, path in plots.items()}, out)
    write_whole(out / "report.md", render_markdown(content, plots))
    write_whole(out / "report.html", page)
    return out / "report.html"
