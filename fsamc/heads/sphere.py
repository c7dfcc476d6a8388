"""Unit vectors of images, and their cosines about a common centre."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.representation.represented import Represented


def on_sphere(batch: Represented) -> Tensor:
    """Average each image's views and bring the mean back to the sphere; the profile is set beside it: [B, D + R]."""
    return torch.cat([F.normalize(batch.values.mean(1), dim=-1), batch.profiles], dim=-1)


def cosine(queries: Tensor, support: Tensor, *, centre: float) -> Tensor:
    """Compare queries [Q, E] with vectors [..., E] of the support by cosine: [Q, ...].

    Both are seen from a point between the origin (`centre` 0) and the mean of the support's vectors (1). What all
    classes have in common, such as being a defect of this product at all, then counts for little, and no class is near
    to every query by lying near the middle (hubness; centring as in SimpleShot, Wang et al. 2019, about the support in
    place of base classes).
    """
    if centre:
        middle = centre * support.flatten(0, -2).mean(0)
        queries, support = queries - middle, support - middle
    return torch.tensordot(F.normalize(queries, dim=-1), F.normalize(support, dim=-1), dims=([1], [-1]))
