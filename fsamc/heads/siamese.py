"""Siamese networks (Koch et al. 2015) on residual maps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fsamc.heads.encoder import EncoderHead, linear
from fsamc.heads.head_kinds import EncoderSettings
from fsamc.heads.pairs import PairHead


class SiameseHead(PairHead, EncoderHead):
    """One encoder for both images of a pair; a linear layer over how far apart their embeddings are in each channel.

    The layer's weights start negative, so that before any training the farther apart two images are, the less likely
    they are called the same; and, as they do not cancel out then, smaller by the root of their number.
    """

    def __init__(self, settings: EncoderSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        self.last = linear(self.encoder.size, 1, generator)
        with torch.no_grad():
            self.last.weight.abs_().div_(-(self.encoder.size**0.5))

    def represent(self, encoded: Tensor) -> Tensor:
        """Return all of its support images [S, E]: it was single images that the head learnt to compare."""
        return encoded

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Compare queries [Q, E] with images of the classes [S_c, E]: logits [Q, C], means over a class's pairs.

        The last layer is linear: the mean of its logits is its logit of the mean difference.
        """
        apart = torch.stack([(queries[:, None] - images).abs().mean(1) for images in support], dim=1)  # [Q, C, E]
        logits: Tensor = self.last(apart)[..., 0]
        return logits
