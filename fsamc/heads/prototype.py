"""The training-free head: what do an image's most anomalous patches look like? The bar for every trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.detectors.residual import Maps
from fsamc.heads.anomalous import anomalous_patches, weighted_mean
from fsamc.heads.base import Head

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import HeadSettings


class PrototypeHead(Head):
    """Cosine between the weighted means over the k patches that are farthest from normal."""

    trained: ClassVar[bool] = False

    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, patches=patches, dim=dim, generator=generator)
        self.settings = settings

    def encode(self, maps: Maps) -> Tensor:
        """Unit vectors [B, D]."""
        return F.normalize(weighted_mean(*anomalous_patches(maps, self.settings)), dim=-1)

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Cosine similarity, [Q, C]; a mean of unit vectors is brought back to the sphere."""
        return queries @ F.normalize(support, dim=-1).T
