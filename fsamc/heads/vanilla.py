"""Vanilla baseline: a relation network on pairs of residual maps (paper 3.3, figure 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.encoder import linear
from fsamc.heads.head_kinds import VanillaSettings
from fsamc.heads.pairs import PairHead
from fsamc.heads.sphere import on_sphere
from fsamc.heads.sums import SumNorm, relu_linear
from fsamc.representation.represented import Represented


class VanillaHead(PairHead):
    """Support and query maps, one upon the other, through two 1x1 convolutions and two linear layers to one logit.

    It is one network of pairs: an image by itself is its map (`pool: flatten`), or its vector as a map of one patch
    (`pool: anomalous`). The first convolution is linear in the concatenation,
    W [s; q] = Ws s + Wq q, so each half is computed once per image and only their sums once per pair.

    With `anomalous` it learns little from single queries, as fine-tuning has them: all pairs of a batch share the one
    vector of the query, which batch normalisation then takes out. It is at chance with the default's vectors.
    """

    settings: VanillaSettings
    episodes: ClassVar[Literal["algorithm_1", "algorithm_2"]] = "algorithm_2"

    def __init__(self, settings: VanillaSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        first, second = settings.relation
        n_patches, dim, profile = shape
        dim += profile
        places = n_patches if settings.pool == "flatten" else 1
        self.conv1, self.norm1 = linear(2 * dim, first, generator), SumNorm(first)
        self.conv2, self.norm2 = linear(first, second, generator), nn.BatchNorm1d(second)
        self.hidden, self.norm3 = (
            linear(places * second, settings.embedding, generator),
            nn.BatchNorm1d(settings.embedding),
        )
        self.last = linear(settings.embedding, 1, generator)

    def encode(self, batch: Represented) -> Tensor:
        """Return the maps themselves [B, P, D], or [B, 1, D + R] with `pool: anomalous`."""
        return batch.values if self.settings.pool == "flatten" else on_sphere(batch)[:, None]

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Compare maps [Q, P, D] with one [P, D] of each class: a logit for each pair, [Q, C]."""
        return self._logits(relu_linear(*self._halves(queries, support), self.conv2))

    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Return what does the same with all pairs at once, in operations that can be exported."""

        def compare(queries: Tensor) -> Tensor:
            of_query, of_support = self._halves(queries, support)
            return self._logits(self.conv2(F.relu(of_query[:, None] + of_support)))

        return compare

    def _halves(self, queries: Tensor, support: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return the first layer's halves [Q, P, R] and [C, P, R], whose sums are those of the pairs."""
        of_support, of_query = self.conv1.weight.chunk(2, dim=1)
        halves: tuple[Tensor, Tensor] = self.norm1(
            F.linear(queries, of_query), F.linear(torch.stack(tuple(support)), of_support, self.conv1.bias)
        )
        return halves

    def _logits(self, x: Tensor) -> Tensor:
        """Turn what the second layer makes of pairs, [Q, C, P, second], into their logits [Q, C]."""
        _, n_classes, places, channels = x.shape
        x = F.relu_(self.norm2(x.flatten(0, 2))).view(-1, places * channels)
        x = F.relu_(self.norm3(self.hidden(x)))
        logits: Tensor = self.last(x).view(-1, n_classes)
        return logits
