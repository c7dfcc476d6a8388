"""Cross-attention between the maps of a class and of a query (Hou et al. 2019, CAN)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.base import Head
from fsamc.heads.encoder import linear
from fsamc.heads.head_kinds import CrossAttentionSettings
from fsamc.representation.represented import Represented


class CrossAttentionHead(Head):
    """Cosine of two attended maps: each place counts by how much it correlates with the other map.

    For each pair of a class and a query, two layers turn the mean correlation with the other map's places into a
    kernel, which weighs those correlations to the attention of each place. Maps are averaged over a coarse grid first.
    The published loss also names each place of a query by itself and among all classes ever seen; here is none of that.

    It sees whole maps, and so neither region nor views; pretrained or not it lost to the default everywhere.
    """

    settings: CrossAttentionSettings
    support_learns: ClassVar[bool] = True

    def __init__(
        self, settings: CrossAttentionSettings, *, shape: tuple[int, int, int], generator: torch.Generator
    ) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        self.side = isqrt(shape[0])
        self.grid = min(settings.grid, self.side)
        places = self.grid**2
        hidden = max(1, places // settings.reduction)
        self.first, self.second = linear(places, hidden, generator), linear(hidden, places, generator)

    def encode(self, batch: Represented) -> Tensor:
        """Average maps over the coarse grid, [B, G, D]."""
        maps = batch.values.transpose(1, 2).unflatten(2, (self.side, self.side))
        return F.adaptive_avg_pool2d(maps, self.grid).flatten(2).transpose(1, 2)

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Compare maps [Q, G, D] with the mean map [G, D] of each class: cosine over temperature, [Q, C]."""
        classes = torch.stack(tuple(support))
        alike = torch.einsum("qid,cjd->qcij", F.normalize(queries, dim=-1), F.normalize(classes, dim=-1))
        of_queries = torch.einsum("qci,qid->qcd", self._attention(alike), queries)
        of_classes = torch.einsum("qcj,cjd->qcd", self._attention(alike.transpose(2, 3)), classes)
        return F.cosine_similarity(of_queries, of_classes, dim=-1) / self.settings.temperature

    def _attention(self, alike: Tensor) -> Tensor:
        """Weigh places by their correlations with those of the other map: [Q, C, G, G] to [Q, C, G], one and more."""
        kernel = self.second(F.relu(self.first(alike.mean(2))))
        fused = (alike @ kernel[..., None])[..., 0]
        return 1 + (fused / self.settings.attention).softmax(-1)
