"""Prototypical networks (Snell et al. 2017) on residual maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from fsamc.heads.encoder import EncoderHead


class PrototypicalHead(EncoderHead):
    """Squared Euclidean distance to the mean of a class's embeddings; cross-entropy; the support learns too."""

    support_learns: ClassVar[bool] = True

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Return minus the squared distance of queries [Q, E] to the class means [E]: [Q, C]."""
        return -(queries[:, None] - torch.stack(tuple(support))).square().sum(-1)
