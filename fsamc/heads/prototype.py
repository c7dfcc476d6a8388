"""The training-free head: what do the most anomalous patches look like? The bar for every trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.base import Head
from fsamc.residual import Maps

if TYPE_CHECKING:
    from fsamc.config import HeadSettings


class PrototypeHead(Head):
    """Cosine between means over the k patches that are farthest from normal."""

    trained: ClassVar[bool] = False

    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, patches=patches, dim=dim, generator=generator)
        self.patches = min(settings.patches, patches)

    def encode(self, maps: Maps) -> Tensor:
        """Mean of the k most anomalous patches, [B, D]; ties in the distance go to the lower patch."""
        order = maps.distances.argsort(dim=1, descending=True, stable=True)[:, : self.patches]
        rows = order[..., None].expand(-1, -1, maps.values.shape[-1])
        return maps.values.gather(1, rows).mean(1)

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Cosine similarity, [Q, C]."""
        return F.normalize(queries, dim=-1) @ F.normalize(support, dim=-1).T
