"""Plot of t-SNE: a fold's images before and after its head, side by side (paper, figures 7 to 20)."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from fsamc.fold.embeddings import Embeddings
from fsamc.seeds import derive
from sweeps.report.plots.style import INK, MUTED, to_png

_PERPLEXITY = 30.0  # scikit-learn's own; fewer where there are few images
_LETTERS = 160  # of the legend that fit into a line, a key's symbol being as wide as eight
# Okabe and Ito's, which the colour-blind tell apart, and two more.
_TEN_NAMES = "#0072b2 #e69f00 #009e73 #cc79a7 #56b4e9 #d55e00 #f0e442 #000000 #7f7f7f #8b4513"
_TEN = [mpl.colors.to_rgb(name) for name in _TEN_NAMES.split()]
_TWENTY = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]


def places(points: np.ndarray, seed: int) -> np.ndarray:
    """Place points [n, d] in the plane, float32 [n, 2]: the same on every call (one thread, a seed of its own)."""
    perplexity = min(_PERPLEXITY, max(1.0, (len(points) - 1) / 3))
    embedding = TSNE(perplexity=perplexity, init="pca", random_state=derive(seed, "t-SNE") % 2**32)
    with threadpool_limits(1):  # the threads' sums are added up in whatever order they end
        placed: np.ndarray = embedding.fit_transform(points)
    return placed


def draw_tsne(embeddings: Embeddings, *, title: str, before: str, after: str, seed: int) -> bytes:
    """Draw a PNG of two panels: the images before and after the head.

    Support images are stars, queries are dots, hollow where the head named them wrongly; the colour is the true class.

    Args:
        embeddings: what to draw, three images or more.
        title: of the whole.
        before: what the points of the left panel are.
        after: what those of the right panel are.
        seed: of t-SNE.
    """
    return to_png(lambda: _two_panels(embeddings, title, before, after, seed), dpi=150)


def _two_panels(embeddings: Embeddings, title: str, before: str, after: str, seed: int) -> Figure:
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=11)
    for axes, points, name in zip(
        figure.subplots(1, 2),
        (embeddings.before, embeddings.after),
        (f"before the head: {before}", f"after the head: {after}"),
        strict=True,
    ):
        _draw_panel(axes, places(points, seed), embeddings)
        axes.set_title(name, loc="left", fontsize=9)
    longest = max(len(key) for key in (*embeddings.classes, "query named wrongly"))
    columns = max(1, min(5, _LETTERS // (longest + 8)))
    figure.legend(handles=_keys(embeddings), loc="outside lower center", ncols=columns, frameon=False, fontsize=9)
    return figure


def _draw_panel(axes: Axes, placed: np.ndarray, embeddings: Embeddings) -> None:
    right = embeddings.predicted == embeddings.labels
    for label, color in enumerate(_colors(len(embeddings.classes))):
        of_class = embeddings.labels == label
        for which, face in ((right, color), (~right, "none")):
            x, y = placed[of_class & ~embeddings.is_support & which].T
            axes.scatter(x, y, s=22, facecolor=face, edgecolor=color, linewidth=1.1, alpha=0.75)
        x, y = placed[of_class & embeddings.is_support].T
        axes.scatter(x, y, s=190, marker="*", facecolor=color, edgecolor=INK, linewidth=1.0, zorder=3)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(MUTED)
    axes.margins(0.06)


def _keys(embeddings: Embeddings) -> list[Line2D]:
    colors = _colors(len(embeddings.classes))
    classes = [_key(name, "o", color, color) for name, color in zip(embeddings.classes, colors, strict=True)]
    support = _key("support", "*", MUTED, INK, size=13)
    return [
        *classes,
        support,
        _key("query named rightly", "o", MUTED, MUTED),
        _key("query named wrongly", "o", "none", MUTED),
    ]


def _key(name: str, marker: str, face: object, edge: object, *, size: float = 6) -> Line2D:
    return Line2D([], [], ls="", marker=marker, ms=size, mfc=face, mec=edge, label=name)


def _colors(count: int) -> list[tuple[float, float, float]]:
    palette = _TEN if count <= len(_TEN) else _TWENTY
    return [palette[label % len(palette)] for label in range(count)]
