"""Training-free head on the look of an image's most anomalous patches. The bar for every trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import functional as F

from fsamc.detectors.residual import Maps
from fsamc.heads.anomalous import anomalous_patches, weighted_mean
from fsamc.heads.base import Head

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import PrototypeSettings


class PrototypeHead(Head):
    """Cosine between the weighted means over the k patches that are farthest from normal."""

    settings: PrototypeSettings

    def encode(self, maps: Maps) -> Tensor:
        """Represent images as unit vectors [B, D]."""
        return F.normalize(weighted_mean(*anomalous_patches(maps, self.settings)), dim=-1)

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Compute the cosine, [Q, C]; a mean of unit vectors is brought back to the sphere."""
        return queries @ F.normalize(support, dim=-1).T
