"""Views that `auto` chooses for a support, by the good images and the support alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from fsamc.config.representation import Views, ViewSet
from fsamc.heads.sphere import cosine
from fsamc.representation.views import IDENTITY, VIEWS, View

_WIDEST_FIRST: tuple[ViewSet, ...] = ("all", "turns", "flips", "none")

Encoder = Callable[[ViewSet], Sequence[Tensor]]


@dataclass(frozen=True)
class ChosenViews:
    """Views of support and queries.

    Attributes:
        because: why they were chosen; empty where the configuration names them.
    """

    support: ViewSet
    queries: ViewSet
    because: str = ""


def choose_views(
    settings: Views, encoded: Encoder, *, turned: Mapping[View, np.ndarray], defects: np.ndarray, centre: float
) -> ChosenViews:
    """Choose views for a support.

    The widest set in which good images look less anomalous than the support's is where to begin. Other sets replace it
    if they name the support better, each image left out in turn, by a number of standard errors (`settings.errors`).
    That is by a training-free head, whatever the fold's is.

    Args:
        settings: which views are to be chosen.
        encoded: the support in a set of views, [S_c, E] of each class.
        turned: anomaly scores of good images in each view but the identity.
        defects: anomaly scores of the support's images, untouched.
        centre: of the head that names them (`cosine`).
    """
    widest = widest_normal(turned, defects)
    because = "in these views good images look less anomalous than defects"
    if widest != "all":
        because += ", in more not"
    chosen, most = widest, 0.0
    start = left_out_margins(*(encoded(one) for one in settings.with_auto(widest)), centre=centre)
    for name in _WIDEST_FIRST:
        gains = left_out_margins(*(encoded(one) for one in settings.with_auto(name)), centre=centre) - start
        if len(gains) > 1 and gains.mean() > max(most, settings.errors * gains.std(ddof=1) / len(gains) ** 0.5):
            chosen, most = name, gains.mean()
            because = "in these views the support, each image left out in turn, is named more surely"
    return ChosenViews(*settings.with_auto(chosen), because)


def widest_normal(turned: Mapping[View, np.ndarray], defects: np.ndarray) -> ViewSet:
    """Return the widest set in each of whose views the median good image is less anomalous than the median defect."""
    bound = np.median(defects)
    fits = {name: all(np.median(turned[view]) < bound for view in VIEWS[name] if view != IDENTITY) for name in VIEWS}
    return next(name for name in _WIDEST_FIRST if fits[name])


def left_out_margins(support: Sequence[Tensor], queries: Sequence[Tensor], *, centre: float) -> np.ndarray:
    """Name each support image by the means of the others: its cosine to its own class less that to the next best.

    Args:
        support: images [S_c, E] of each class, in the views of support.
        queries: the same in the views of queries.
        centre: as in `cosine`.

    Returns:
        float64, one for each image of a class that has others; none at one shot.
    """
    means, margins = torch.stack([images.mean(0) for images in support]), []
    for label, images in enumerate(support):
        for row in range(len(images) if len(images) > 1 else 0):
            own = torch.cat([images[:row], images[row + 1 :]]).mean(0)
            seen = torch.cat([means[:label], own[None], means[label + 1 :]])
            cosines = cosine(queries[label][row : row + 1], seen, centre=centre)[0]
            rivals = torch.cat([cosines[:label], cosines[label + 1 :]])
            margins.append(float(cosines[label] - rivals.max()))
    return np.array(margins)
