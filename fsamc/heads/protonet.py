"""Prototypical networks (Snell et al. 2017) on residual maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from fsamc.heads.base import Head
from fsamc.heads.encoder import Encoder
from fsamc.representation.represented import Represented

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import EncoderSettings


class PrototypicalHead(Head):
    """Squared Euclidean distance to the mean of a class's embeddings; cross-entropy; the support learns too."""

    support_learns: ClassVar[bool] = True

    def __init__(self, settings: EncoderSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        self.encoder = Encoder(settings, shape=shape, generator=generator)

    def encode(self, batch: Represented) -> Tensor:
        """Embed images, [B, E], as long as the encoder makes them."""
        embeddings: Tensor = self.encoder(batch)
        return embeddings

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Return minus the squared distance of queries [Q, E] to the class means [E]: [Q, C]."""
        return -(queries[:, None] - torch.stack(tuple(support))).square().sum(-1)
