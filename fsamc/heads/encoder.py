"""Encoder that most heads share: residual maps to embeddings (paper 3.6, figure 5)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.base import Head
from fsamc.heads.head_kinds import EncoderSettings
from fsamc.heads.sphere import on_sphere
from fsamc.representation.represented import Represented


class Encoder(nn.Module):
    """Two 1x1 convolutions with batch normalisation and ReLU, and one vector of what they make of the patches.

    The paper's 1x1 convolutions are linear layers over patches: the same arithmetic on [P, D] rows. There are two ways
    (`pool`). `flatten` is the paper's: all patches at their places, then a linear layer. `anomalous` has the vectors
    of the views in place of patches, averages what becomes of them, and sets their own mean beside it: a head starts
    as the prototype and learns what to add.

    Args:
        settings: the head's.
        shape: N, D and R of the batches that it sees.
        generator: source of the initial weights.

    Attributes:
        size: E, length of an embedding.
    """

    def __init__(self, settings: EncoderSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__()
        (n_patches, dim, profile), (first, second) = shape, settings.hidden
        self.settings = settings
        self.conv1, self.norm1 = linear(dim, first, generator), nn.BatchNorm1d(first)
        self.conv2, self.norm2 = linear(first, second, generator), nn.BatchNorm1d(second)
        self.size = dim + profile + second
        if settings.pool == "flatten":
            self.out = linear(n_patches * second, settings.embedding, generator)
            self.size = settings.embedding

    def forward(self, batch: Represented) -> Tensor:
        """Embed images, [B, E], not normalised; with `pool: anomalous` two unit vectors and the profile."""
        convolved = self._convolved(batch.values)
        if self.settings.pool == "flatten":
            return F.relu(self.out(convolved.flatten(1)))
        return torch.cat([on_sphere(batch), F.normalize(convolved.mean(1), dim=-1)], dim=-1)

    def _convolved(self, values: Tensor) -> Tensor:
        """Convolve patches [B, P, D] to [B, P, second]."""
        x = values.flatten(0, 1)  # [B*P, D]
        x = F.relu_(_normalised(self.norm1, self.conv1(x)))
        x = F.relu_(_normalised(self.norm2, self.conv2(x)))
        return x.unflatten(0, values.shape[:2])


class EncoderHead(Head):
    """Base of heads that compare what an encoder makes of images."""

    def __init__(self, settings: EncoderSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        self.encoder = Encoder(settings, shape=shape, generator=generator)

    def encode(self, batch: Represented) -> Tensor:
        """Embed images, [B, E], as long as the encoder makes them."""
        embeddings: Tensor = self.encoder(batch)
        return embeddings


def _normalised(norm: nn.BatchNorm1d, rows: Tensor) -> Tensor:
    """Normalise rows [N, R] over the batch; a row by itself has no variance: the running statistics stand in."""
    if rows.shape[0] > 1:
        normalised: Tensor = norm(rows)
        return normalised
    return F.batch_norm(rows, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def linear(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """Make a linear layer with Kaiming-normal weights and no bias to begin with."""
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
