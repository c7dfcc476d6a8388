"""Cache of support images that are asked one by one (Tip-Adapter, Zhang et al. 2022, training-free)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import Tensor

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.sphere import cosine

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import CacheSettings


class CacheHead(FittedHead):
    """Each support image votes for its class by exp(-sharpness (1 - cosine)); a class's votes are averaged.

    The published adapter adds the votes to a text encoder's opinion; here there is none.
    """

    settings: CacheSettings

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Return the mean vote of each class's images [C, S, E] on queries [Q, E], as a logarithm [Q, C]."""
        alike = cosine(queries, support, centre=self.settings.centre)
        return (self.settings.sharpness * (alike - 1)).logsumexp(-1) - math.log(support.shape[1])
