"""Training-free head: cosine to the mean of a class's support. The bar for every trained head."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fsamc.heads.base import Head
from fsamc.heads.head_kinds import PrototypeSettings
from fsamc.heads.sphere import cosine, on_sphere
from fsamc.representation.represented import Represented


class PrototypeHead(Head):
    """Cosine between an image's vector and the mean of a class's vectors."""

    settings: PrototypeSettings

    def encode(self, batch: Represented) -> Tensor:
        """Return one vector an image, [B, D + R]."""
        return on_sphere(batch)

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Compare queries [Q, E] with the classes' means [E] by cosine: [Q, C]."""
        return cosine(queries, torch.stack(tuple(support)), centre=self.settings.centre)
