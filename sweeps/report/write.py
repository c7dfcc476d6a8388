"""Writing a sweep's report: report.md, report.html and the plots they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.console import RenderableType

from fsamc.store.durable import write_whole
from sweeps.report.document.console import blocks_on_screen
from sweeps.report.document.markdown import to_markdown
from sweeps.report.document.page import to_page
from sweeps.report.document.report_blocks import Block
from sweeps.report.evidence import Evidence, gather
from sweeps.report.mvrec_comparison import compare_with_mvrec
from sweeps.report.paper_comparison import compare_with_paper
from sweeps.report.plots.draw import draw_plots
from sweeps.report.sections import sweep_report

PUBLISHED: Mapping[str, Callable[[Evidence, Path], Sequence[Block]]] = {
    "paper": compare_with_paper,
    "mvrec": compare_with_mvrec,
}


def write_report(out: Path, *, against: Sequence[str] = ()) -> Path:
    """Write report.md, report.html and plots/*.png of the sweep in `out`, finished or still running.

    With `against`, names in `PUBLISHED`, our numbers are also compared with published ones.

    Returns the path of report.html, which needs no other file and no network.
    Raises BadInput if `out` has no plan, no folds.csv or no finished fold in it, or nothing that was published answers.
    """
    evidence = gather(out)
    report = sweep_report(evidence, _published(evidence, out, against))
    draw_plots(report, out)
    write_whole(out / "report.md", to_markdown(report))
    write_whole(out / "report.html", to_page(report, out))
    return out / "report.html"


def published_on_screen(out: Path, against: Sequence[str]) -> Iterator[RenderableType]:
    """Yield the comparison of a sweep with what was published. Raises BadInput as `write_report` does."""
    return blocks_on_screen(_published(gather(out), out, against))


def _published(evidence: Evidence, out: Path, against: Sequence[str]) -> list[Block]:
    return [block for name in against for block in PUBLISHED[name](evidence, out)]
