"""The contrastive classifier (paper 3.6, figure 5, eq. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.anomalous import anomalous_patches, weighted_mean
from fsamc.heads.base import Head
from fsamc.residual import Maps

if TYPE_CHECKING:
    from fsamc.config import HeadSettings


class ContrastiveHead(Head):
    """An encoder shared by queries and support; dot products over a temperature; InfoNCE.

    The paper's 1x1 convolutions are linear layers over patches: the same arithmetic on [P, D] rows. What they make of
    the patches becomes one vector in one of two ways (`pool`). `flatten` is the paper's: all patches at their places,
    then a linear layer. `anomalous` averages over the most anomalous patches, wherever they are, and sets the mean of
    the patches themselves beside it: the head starts as the prototype and learns what to add.
    """

    trained: ClassVar[bool] = True

    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, patches=patches, dim=dim, generator=generator)
        first, second = settings.hidden
        self.settings = settings
        self.conv1, self.norm1 = _linear(dim, first, generator), nn.BatchNorm1d(first)
        self.conv2, self.norm2 = _linear(first, second, generator), nn.BatchNorm1d(second)
        if settings.pool == "flatten":
            self.out = _linear(patches * second, settings.embedding, generator)

    def encode(self, maps: Maps) -> Tensor:
        """Unit vectors [B, E]; with `pool: anomalous` E is D and the second convolution's channels."""
        if self.settings.pool == "flatten":
            return F.normalize(F.relu(self.out(self._convolved(maps.values).flatten(1))), dim=-1)
        values, weights = anomalous_patches(maps, self.settings)
        parts = [weighted_mean(each, weights) for each in (values, self._convolved(values))]
        return F.normalize(torch.cat([F.normalize(part, dim=-1) for part in parts], dim=-1), dim=-1)

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Cosine over the temperature, [Q, C]; a mean of unit vectors is brought back to the sphere."""
        return queries @ F.normalize(support, dim=-1).T / self.settings.temperature

    def _convolved(self, values: Tensor) -> Tensor:
        """Patches [B, P, D] to [B, P, second]."""
        x = values.flatten(0, 1)  # [B*P, D]
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return x.unflatten(0, values.shape[:2])


def _linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with Kaiming-normal weights and no bias to begin with."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
