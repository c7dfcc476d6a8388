"""Cache of support images that are asked one by one (Tip-Adapter, Zhang et al. 2022, training-free)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.sphere import cosine_by_class

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import CacheSettings


class CacheHead(FittedHead):
    """Each support image votes for its class by exp(-sharpness (1 - cosine)); a class's votes are averaged.

    The published adapter adds the votes to a text encoder's opinion; here there is none.
    """

    settings: CacheSettings

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Return the mean vote of each class's images [S_c, E] on queries [Q, E], as a logarithm [Q, C]."""
        alike = cosine_by_class(queries, support, centre=self.settings.centre)
        voters = torch.tensor([math.log(len(images)) for images in support], dtype=alike.dtype, device=alike.device)
        return (self.settings.sharpness * (alike - 1)).logsumexp(-1) - voters
