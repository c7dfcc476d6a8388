"""Contrastive classifier (paper 3.6, figure 5, eq. 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.detectors.residual import Maps
from fsamc.heads.base import Head
from fsamc.heads.encoder import Encoder

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import CosineSettings


class ContrastiveHead(Head):
    """An encoder shared by queries and support; dot products over a temperature; InfoNCE.

    No gradient flows through the support's embeddings.
    """

    def __init__(self, settings: CosineSettings, *, n_patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, n_patches=n_patches, dim=dim, generator=generator)
        self.encoder = Encoder(settings, n_patches=n_patches, dim=dim, generator=generator)
        self.temperature = settings.temperature

    def encode(self, maps: Maps) -> Tensor:
        """Embed images as unit vectors [B, E]."""
        return F.normalize(self.encoder(maps), dim=-1)

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Divide the cosine by the temperature, [Q, C]; a mean of unit vectors is brought back to the sphere."""
        return queries @ F.normalize(support, dim=-1).T / self.temperature
