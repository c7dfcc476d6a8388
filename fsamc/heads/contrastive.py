"""Contrastive classifier (paper 3.6, figure 5, eq. 3)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.encoder import EncoderHead
from fsamc.heads.head_kinds import CosineSettings
from fsamc.heads.sphere import cosine
from fsamc.representation.represented import Represented


class ContrastiveHead(EncoderHead):
    """An encoder shared by queries and support; dot products over a temperature; InfoNCE.

    No gradient flows through the support's embeddings.
    """

    settings: CosineSettings

    def encode(self, batch: Represented) -> Tensor:
        """Embed images as unit vectors [B, E]."""
        return F.normalize(self.encoder(batch), dim=-1)

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Divide the cosine by the temperature, [Q, C]; a mean of unit vectors is brought back to the sphere."""
        settings = self.settings
        return cosine(queries, torch.stack(tuple(support)), centre=settings.centre) / settings.temperature
