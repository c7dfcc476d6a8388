"""Most anomalous patches of an image, and how much each of them counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fsamc.detectors.residual import Maps

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import AnomalousSettings


def anomalous_patches(maps: Maps, settings: AnomalousSettings) -> tuple[Tensor, Tensor]:
    """Take the k patches of each image that are farthest from normal: values [B, k, D], weights [B, k] that sum to one.

    Ties in the distance go to the lower patch. With `weights: excess` a patch counts by its distance beyond that of
    the (k+1)-th, so that k is a soft bound: a small defect speaks through its few patches and is not drowned by the
    noise that fills the rest. Patches count alike with `uniform`, where k is all of them, and where none exceeds the
    (k+1)-th.
    """
    k = min(settings.patches, maps.distances.shape[1])
    order = maps.distances.argsort(dim=1, descending=True, stable=True)
    values = maps.values.gather(1, order[:, :k, None].expand(-1, -1, maps.values.shape[-1]))
    weights = torch.ones_like(maps.distances[:, :k])
    if settings.weights == "excess" and k < order.shape[1]:
        excess = maps.distances.gather(1, order[:, :k]) - maps.distances.gather(1, order[:, k : k + 1])
        weights = torch.where(excess.sum(1, keepdim=True) > 0, excess, weights)
    return values, weights / weights.sum(1, keepdim=True)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Turn values [B, k, D] and weights [B, k] into means [B, D]."""
    return (weights[..., None] * values).sum(1)
