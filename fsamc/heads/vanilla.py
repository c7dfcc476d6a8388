"""The vanilla baseline: a relation network on pairs of residual maps (paper 3.3, figure 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.anomalous import anomalous_patches
from fsamc.heads.encoder import linear
from fsamc.heads.pairs import PairHead
from fsamc.heads.sums import SumNorm, relu_linear
from fsamc.residual import Maps

if TYPE_CHECKING:
    from fsamc.config import HeadSettings


class VanillaHead(PairHead):
    """Support and query maps, one upon the other, through two 1x1 convolutions and two linear layers to one logit.

    The first convolution is linear in the concatenation, W [s; q] = Ws s + Wq q, so each half is computed once per
    image and only their sums once per pair.

    `pool: flatten` is the paper's: all patches at their places. `pool: anomalous` lays the most anomalous patches of
    the two images upon each other, the first upon the first, and takes the mean behind the convolutions. It needs two
    or more of them, for it normalises over the pairs of a query alone, when it classifies as when it is fine-tuned:
    running statistics mix queries, and by them a head that names all of its support was below chance on others.
    """

    episodes: ClassVar[Literal["algorithm_1", "algorithm_2"]] = "algorithm_2"

    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, patches=patches, dim=dim, generator=generator)
        first, second = settings.relation
        self.settings = settings
        self.flat = settings.pool == "flatten"
        self.conv1 = linear(2 * dim, first, generator)
        self.norm1 = SumNorm(first, track_running_stats=self.flat)
        self.conv2 = linear(first, second, generator)
        self.norm2 = nn.BatchNorm1d(second, track_running_stats=self.flat)
        self.hidden = linear((patches if self.flat else 1) * second, settings.embedding, generator)
        self.norm3 = nn.BatchNorm1d(settings.embedding, track_running_stats=self.flat)
        self.last = linear(settings.embedding, 1, generator)

    def encode(self, maps: Maps) -> Tensor:
        """The maps themselves, [B, P, D]; with `pool: anomalous` their k patches farthest from normal, [B, k, D]."""
        return maps.values if self.flat else anomalous_patches(maps, self.settings)[0]

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Maps [Q, P, D] and [C, P, D] to a logit for each pair, [Q, C]."""
        if self.training or self.flat:
            return self._judge(queries, support)
        return torch.cat([self._judge(query[None], support) for query in queries])

    def _judge(self, queries: Tensor, support: Tensor) -> Tensor:
        of_support, of_query = self.conv1.weight.chunk(2, dim=1)
        q, s = self.norm1(F.linear(queries, of_query), F.linear(support, of_support, self.conv1.bias))
        x = relu_linear(q, s, self.conv2)  # [Q, C, P, second]
        n_pairs = len(queries) * len(support)
        x = F.relu_(self.norm2(x.flatten(0, 2))).unflatten(0, (n_pairs, -1))
        x = x.flatten(1) if self.flat else x.mean(1)
        x = F.relu_(self.norm3(self.hidden(x)))
        logits: Tensor = self.last(x).view(len(queries), len(support))
        return logits
