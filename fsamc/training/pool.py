"""Transduction: queries that are named together move what stands for the classes, unlabelled as they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fsamc.config.scoring import Pool


def moved_means(
    relate: Callable[[Tensor, Sequence[Tensor]], Tensor], support: Tensor, queries: Tensor, *, shots: int, pool: Pool
) -> Tensor:
    """Move class means by soft k-means over a pool of queries, [C, ...] (Ren et al. 2018, section 3.1.1).

    In each round a query is shared out among the classes by the softmax of its logits, and a mean is that of its
    support images, who count one each, and of all queries' shares. Nothing is assumed of how many queries a class has.

    Args:
        relate: queries [Q, ...] and means to logits [Q, C].
        support: [C, ...], means of `shots` images each.
        queries: [Q, ...], represented alike.
        shots: support images of a class.
        pool: rounds, and the temperature of the softmax.
    """
    means = support
    for _ in range(pool.rounds):
        shares = (relate(queries, list(means)) / pool.temperature).softmax(1)
        totals = torch.tensordot(shares.T, queries, dims=1) + shots * support
        means = totals / (shares.sum(0) + shots).reshape(-1, *[1] * (support.dim() - 1))
    return means
