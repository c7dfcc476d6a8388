"""Contrastive classifier (paper 3.6, figure 5, eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.base import Head
from fsamc.heads.encoder import Encoder
from fsamc.heads.sphere import cosine
from fsamc.representation.represented import Represented

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import CosineSettings


class ContrastiveHead(Head):
    """An encoder shared by queries and support; dot products over a temperature; InfoNCE.

    No gradient flows through the support's embeddings.
    """

    def __init__(self, settings: CosineSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        self.encoder = Encoder(settings, shape=shape, generator=generator)
        self.temperature, self.centre = settings.temperature, settings.centre

    def encode(self, batch: Represented) -> Tensor:
        """Embed images as unit vectors [B, E]."""
        return F.normalize(self.encoder(batch), dim=-1)

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Divide the cosine by the temperature, [Q, C]; a mean of unit vectors is brought back to the sphere."""
        return cosine(queries, torch.stack(tuple(support)), centre=self.centre) / self.temperature
