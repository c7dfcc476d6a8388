"""Matching networks (Vinyals et al. 2016, without full-context embeddings) on residual maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.base import Head
from fsamc.heads.encoder import Encoder
from fsamc.residual import Maps

if TYPE_CHECKING:
    from fsamc.config import HeadSettings


class MatchingHead(Head):
    """Attention over all support images by cosine; a class is as likely as its images' attention together."""

    trained: ClassVar[bool] = True
    support_learns: ClassVar[bool] = True

    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__(settings, patches=patches, dim=dim, generator=generator)
        self.encoder = Encoder(settings, patches=patches, dim=dim, generator=generator)
        self.temperature = settings.temperature

    def encode(self, maps: Maps) -> Tensor:
        """Unit vectors [B, E]."""
        return F.normalize(self.encoder(maps), dim=-1)

    def represent(self, encoded: Tensor) -> Tensor:
        """A class is all of its support images [S, E], each to be attended to."""
        return encoded

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Queries [Q, E] and images of the classes [C, S, E] to logits [Q, C]: their softmax is the summed attention.

        Attention is a softmax of cosine / temperature over all C·S images; the log of a class's sum of it is, but
        for the query's common denominator, the logsumexp over the class's images.
        """
        attention = torch.einsum("qe,cse->qcs", queries, support) / self.temperature
        return attention.logsumexp(-1)
