"""Writing a sweep's report: report.md, report.html and the plots they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import RenderableType

from fsamc.data.remote import Source
from fsamc.store.durable import write_whole
from sweeps.report.document.console import blocks_on_screen
from sweeps.report.document.markdown import to_markdown
from sweeps.report.document.page import to_page
from sweeps.report.document.report_blocks import Block
from sweeps.report.evidence import Evidence, gather
from sweeps.report.gallery.gallery import gallery
from sweeps.report.gallery.gallery_settings import GallerySettings
from sweeps.report.mvrec_comparison import compare_with_mvrec
from sweeps.report.paper_comparison import compare_with_paper
from sweeps.report.plots.draw import draw_plots
from sweeps.report.sections import gallery_page, sweep_report
from sweeps.results.folder import GALLERY
from sweeps.results.saved_settings import read_saved_settings

DEFAULT = GallerySettings()

PUBLISHED: Mapping[str, Callable[[Evidence, Path], Sequence[Block]]] = {
    "paper": compare_with_paper,
    "mvrec": compare_with_mvrec,
}


def write_report(
    out: Path,
    *,
    against: Sequence[str] = (),
    shown: GallerySettings = DEFAULT,
    data: Source | None = None,
    cache: Path | None = None,
) -> Path:
    """Write report.md, report.html, gallery.html and plots/*.png of the sweep in `out`, finished or still running.

    Args:
        out: the sweep's folder.
        against: names in `PUBLISHED`: our numbers are also compared with these.
        shown: what the gallery shows.
        data: where the gallery finds images; by default where the sweep had them.
        cache: where it finds heat maps; likewise.

    Returns the path of report.html, which needs no other file and no network.
    Raises BadInput if `out` has no plan, no folds.csv or no finished fold in it, or nothing that was published answers.
    """
    evidence = gather(out)
    saved = read_saved_settings(out)
    places = replace(saved, data=data or saved.data, cache=cache or saved.cache)
    answers = gallery(evidence, out, shown, places)
    report = sweep_report(evidence, _published(evidence, out, against), answers)
    draw_plots(report, out)
    write_whole(out / "report.md", to_markdown(report))
    write_whole(out / "report.html", to_page(report, out))
    (out / GALLERY).unlink(missing_ok=True)
    if page := gallery_page(report):
        write_whole(out / GALLERY, to_page(page, out))
    return out / "report.html"


def published_on_screen(out: Path, against: Sequence[str]) -> Iterator[RenderableType]:
    """Yield the comparison of a sweep with what was published. Raises BadInput as `write_report` does."""
    return blocks_on_screen(_published(gather(out), out, against))


def _published(evidence: Evidence, out: Path, against: Sequence[str]) -> list[Block]:
    return [block for name in against for block in PUBLISHED[name](evidence, out)]
