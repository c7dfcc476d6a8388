"""The report's plots as PNG files, drawn without any global state."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from sweeps.report.axes import swept_axes
from sweeps.report.content import Content
from sweeps.report.evidence import Evidence
from sweeps.report.plots.confusion import draw_confusion
from sweeps.report.plots.heads import draw_heads
from sweeps.report.plots.heatmap import draw_heatmap
from sweeps.report.plots.importances import draw_importances
from sweeps.report.plots.parallel import draw_parallel
from sweeps.report.plots.pareto import draw_pareto
from sweeps.report.plots.ranking import draw_ranking
from sweeps.report.plots.slices import draw_slices
from sweeps.report.plots.style import DPI, STYLE
from sweeps.results.files import write_whole


def draw_plots(evidence: Evidence, content: Content, folder: Path) -> dict[str, str]:
    """Draw every plot there is something to draw for; old ones in `folder` go.

    Returns the path of each, relative to the parent of `folder`, by name: ranking, heads, heatmap, parallel,
    importances, slices, pareto, and confusion-0, confusion-1, ... in the order of `content.confusions`.
    """
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    paths: dict[str, str] = {}
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)
        for name, draw in _drawings(evidence, content).items():
            write_whole(folder / f"{name}.png", _png(draw()))
            paths[name] = f"{folder.name}/{name}.png"
    return paths


def _drawings(evidence: Evidence, content: Content) -> dict[str, Callable[[], Figure]]:
    drawings: dict[str, Callable[[], Figure]] = {"heatmap": lambda: draw_heatmap(content.matrix)}
    if len(evidence.ranked):
        drawings["ranking"] = lambda: draw_ranking(evidence, content.trials)
    if axes := swept_axes(evidence):
        drawings["parallel"] = lambda: draw_parallel(axes)
        drawings["slices"] = lambda: draw_slices(axes)
    if content.shares:
        drawings["importances"] = lambda: draw_importances(content.shares)
    if len(content.times) > 1:
        drawings["pareto"] = lambda: draw_pareto(content.times)
    if len(content.heads):
        drawings["heads"] = lambda: draw_heads(content.heads)
    for index, confusion in enumerate(content.confusions):
        drawings[f"confusion-{index}"] = partial(draw_confusion, confusion)
    return drawings


def _png(figure: Figure) -> bytes:
    png = io.BytesIO()
    figure.savefig(png, dpi=DPI, bbox_inches="tight", pad_inches=0.08)
    return png.getvalue()
