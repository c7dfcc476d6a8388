"""Distribution propagation graph network (DPGN, Yang et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.encoder import EncoderHead
from fsamc.heads.head_kinds import DpgnSettings
from fsamc.heads.sphere import all_images, by_class, classes_alike, middle
from fsamc.representation.represented import Represented


class DpgnHead(EncoderHead):
    """Two graphs over the support's images and one query, updated in turn for a few generations.

    The graph of instances has an image's embedding in each node and how alike two of them are on each edge. In the
    graph of distributions a node says how alike its image is to each of the support's: to those of its own class alone
    at first, and a query to all. A generation mixes the edges of instances into the distributions; images with like
    distributions are alike; and each embedding is drawn towards those of like images. A query's class is that of the
    images that it ends up beside.

    The published graphs hold all queries of a task; here is one, so that no answer hangs on other queries. Published
    layers are as wide as the support has images. Here numbers of classes and images vary, so each of them is one
    learnt number a generation. The loss is that of the last generation.
    """

    settings: DpgnSettings
    support_learns: ClassVar[bool] = True

    def __init__(self, settings: DpgnSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__(settings, shape=shape, generator=generator)
        self.kept = nn.Parameter(torch.zeros(settings.generations))  # the logit of a distribution's share that stays
        self.sharpness = nn.Parameter(torch.zeros(settings.generations))  # the logarithm of it, among distributions
        self.drawn = nn.Parameter(torch.full((settings.generations,), 0.5))  # how far embeddings go to those alike

    def encode(self, batch: Represented) -> Tensor:
        """Embed images as unit vectors [B, E]."""
        return F.normalize(self.encoder(batch), dim=-1)

    def represent(self, encoded: Tensor) -> Tensor:
        """Return all of its support images [S, E], a node each."""
        return encoded

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Set each of the queries [Q, E] beside the images of the classes [S_c, E]: logits [Q, C]."""
        (images, labels), weights, counts = all_images(support), classes_alike(support), [len(one) for one in support]
        nodes = torch.cat([images.expand(queries.shape[0], -1, -1), queries[:, None]], dim=1)  # [Q, n + 1, E]
        nodes = F.normalize(nodes - middle(support, centre=self.settings.centre), dim=-1)
        share = weights[labels] / len(labels)  # of each image in a distribution over all, by which classes count alike
        same = F.normalize((labels == labels[:, None]).to(images.dtype), p=1, dim=-1)
        spread = torch.cat([same, share[None]]).expand(queries.shape[0], -1, -1)  # [Q, n + 1, n]
        alike, like = self._alike(nodes), torch.zeros((), device=nodes.device)
        for kept, sharpness, drawn in zip(self.kept.sigmoid(), self.sharpness.exp(), self.drawn, strict=True):
            to_support = (alike[:, :, :-1] + share.log()).softmax(-1)
            spread = kept * spread + (1 - kept) * to_support
            like = like - sharpness * _squared_distances(spread)
            nodes = F.normalize(nodes + drawn * like.softmax(-1) @ nodes, dim=-1)
            alike = alike + self._alike(nodes)
        return by_class(alike[:, -1, :-1], counts).logsumexp(-1) + weights.log()

    def _alike(self, nodes: Tensor) -> Tensor:
        """Return how alike nodes [Q, n + 1, E] are: [Q, n + 1, n + 1]."""
        return nodes @ nodes.transpose(1, 2) / self.settings.temperature


def _squared_distances(rows: Tensor) -> Tensor:
    """Return those between rows [Q, n, E]: [Q, n, n]."""
    squares = rows.square().sum(-1)
    return squares[:, :, None] + squares[:, None] - 2 * rows @ rows.transpose(1, 2)
