"""How a head learns: pretraining on pseudo-classes to the stop threshold, then fine-tuning on the support."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fsamc.config import Finetune, Pretrain
from fsamc.episodes import algorithm_1, pretraining_round
from fsamc.heads.base import Head
from fsamc.residual import Maps, ResidualMaps, concatenate


def pretrain(
    head: Head, pseudo: ResidualMaps, labels: np.ndarray, settings: Pretrain, generator: torch.Generator
) -> list[float]:
    """Train `head` on rounds of pseudo-classes (paper 3.5, 4.1.3); stop above the threshold.

    Args:
        head: trained in place.
        pseudo: maps of the pseudo-defects.
        labels: int64 [n], their pseudo-classes.
        settings: rounds, queries, threshold and learning rate.
        generator: source of the rounds.

    Returns:
        The accuracy of each round's queries, before the round's step.
    """
    optimiser = _adam(head, settings.lr)
    accuracies: list[float] = []
    head.train()
    for _ in range(settings.max_rounds):
        drawn = pretraining_round(
            labels, n_classes=settings.pseudo_classes, n_queries=settings.queries, generator=generator
        )
        truth = torch.from_numpy(drawn.labels).to(pseudo.device)
        logits = _step(head, optimiser, pseudo.take(drawn.queries), truth, pseudo.take(drawn.support))
        accuracies.append(float((logits.argmax(1) == truth).float().mean()))
        if accuracies[-1] > settings.stop_threshold:
            break
    return accuracies


def finetune(head: Head, support: list[Maps], settings: Finetune) -> None:
    """Train `head` in place on the support by algorithm 1: one Adam step per (query, support).

    Args:
        head: trained in place.
        support: per class its images' maps, S of each. With one shot there is nothing to train on.
        settings: epochs per shot count and learning rate.
    """
    shots = len(support[0])
    anchors = [concatenate([maps.take([j]) for maps in support]) for j in range(shots)]
    optimiser = _adam(head, settings.lr)
    head.train()
    for _ in range(settings.epochs_for(shots)):
        for episode in algorithm_1(len(support), shots):
            query = support[episode.label].take([episode.query])
            label = torch.tensor([episode.label], device=query.values.device)
            _step(head, optimiser, query, label, anchors[episode.support])


def _step(head: Head, optimiser: torch.optim.Optimizer, queries: Maps, labels: Tensor, support: Maps) -> Tensor:
    """One Adam step; the logits [Q, C] before it. No gradient flows through the support (paper 3.6)."""
    with torch.no_grad():
        anchors = head.encode(support)
    logits = head.relate(head.encode(queries), anchors)
    optimiser.zero_grad()
    head.loss(logits, labels).backward()
    optimiser.step()
    return logits.detach()


def _adam(head: Head, lr: float) -> torch.optim.Optimizer:
    return torch.optim.Adam(head.parameters(), lr=lr, fused=True)
