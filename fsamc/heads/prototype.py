"""The training-free head: what do an image's most anomalous patches look like? The bar for every trained head."""

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
    """Cosine between weighted means over the k patches that are farthest from normal.

    With `weights: excess` a patch counts by its distance beyond that of the (k+1)-th, so that k is a soft bound: a
    small defect speaks through its few patches and is not drowned by the noise that fills the rest.
    """

    trained: ClassVar[bool] = False

    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, patches=patches, dim=dim, generator=generator)
        self.patches = min(settings.patches, patches)
        self.excess = settings.weights == "excess"

    def encode(self, maps: Maps) -> Tensor:
        """Unit vectors [B, D]; ties in the distance go to the lower patch."""
        order = maps.distances.argsort(dim=1, descending=True, stable=True)
        chosen = order[:, : self.patches, None].expand(-1, -1, maps.values.shape[-1])
        weights = self._weights(maps.distances.gather(1, order))
        return F.normalize((weights[..., None] * maps.values.gather(1, chosen)).sum(1), dim=-1)

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Cosine similarity, [Q, C]."""
        return queries @ F.normalize(support, dim=-1).T

    def _weights(self, descending: Tensor) -> Tensor:
        """Weights [B, k] of the first k of an image's distances [B, P]; alike where none exceeds the (k+1)-th."""
        first = descending[:, : self.patches]
        if not self.excess or self.patches == descending.shape[1]:
            return torch.ones_like(first)
        excess = first - descending[:, self.patches, None]
        return torch.where(excess.sum(1, keepdim=True) > 0, excess, 1.0)
