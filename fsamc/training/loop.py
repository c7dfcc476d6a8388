"""Training of a head: pretraining on pseudo-classes to the stop threshold, then fine-tuning on the support."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from fsamc.config.learning import Finetune, Pretrain
from fsamc.hardware import without_denormals
from fsamc.heads.base import Head
from fsamc.representation.represented import Represented, RepresentedSet, concatenate
from fsamc.training.episodes import EPISODES, Batch, Round, another_round, pretraining_round
from fsamc.training.inner_loop import adapted_logits


@without_denormals()
def pretrain(
    head: Head, pseudo: RepresentedSet, labels: np.ndarray, settings: Pretrain, generator: torch.Generator
) -> list[float]:
    """Train `head` on rounds of pseudo-classes (paper 3.5, 4.1.3); stop above the threshold.

    A round is an Adam step. For MAML (appendix G) it is a task, an inner batch of pseudo-classes and an outer one, and
    an Adam step is on the summed outer losses of `maml.tasks` of them, or of those at hand when training stops.

    Args:
        head: trained in place.
        pseudo: the pseudo-defects.
        labels: int64 [n], their pseudo-classes.
        settings: rounds, queries, threshold and learning rate.
        generator: source of the rounds.

    Returns:
        The accuracy of each round's queries, before the round's step; with MAML of the outer ones, after the inner.
    """
    optimiser = adam(head, settings.lr)
    accuracies: list[float] = []
    stopped = False
    head.train()
    while not stopped:
        logits, truth = _round(head, pseudo, labels, settings, generator)
        head.loss(logits, truth).backward()
        accuracies.append(round_accuracy(head, logits, truth, settings))
        stopped = accuracies[-1] > settings.stop_threshold or len(accuracies) == settings.max_rounds
        if stopped or not head.meta or len(accuracies) % settings.maml.tasks == 0:
            optimiser.step()
            optimiser.zero_grad()
    return accuracies


@without_denormals()
def finetune(head: Head, support: list[Represented], settings: Finetune) -> list[float]:
    """Train `head` in place on the support: one Adam step per (query, support).

    Args:
        head: trained in place.
        support: per class its images, S of each. With one shot there is nothing to train on.
        settings: episodes, epochs per shot count and learning rate.

    Returns:
        The share of an epoch's queries that were named rightly, each before its step.
    """
    shots = len(support[0])
    anchors = [concatenate([maps.take([j]) for maps in support]) for j in range(shots)]
    episodes = EPISODES[head.episodes if settings.episodes == "own" else settings.episodes]
    optimiser = adam(head, settings.lr)
    accuracies: list[float] = []
    head.train()
    for _ in range(settings.epochs_for(shots)):
        right = []
        for episode in episodes(len(support), shots):
            query = support[episode.label].take([episode.query])
            label = torch.tensor([episode.label], device=query.values.device)
            logits = head(query, anchors[episode.support])
            head.loss(logits, label).backward()
            optimiser.step()
            optimiser.zero_grad()
            right.append(int(logits.argmax(1)) == episode.label)
        accuracies.append(sum(right) / len(right))
    return accuracies


def round_accuracy(head: Head, logits: Tensor, labels: Tensor, settings: Pretrain) -> float:
    """Return the share of right answers in a round, logits [Q, C]: of the queries, or of the pairs (`stop_metric`).

    With C classes, calling every pair different is right in (C - 1) / C of them: at ten classes 0.9.
    """
    if settings.stop_metric == "pairs" and head.judges_pairs:
        same = torch.nn.functional.one_hot(labels, logits.shape[1]) > 0
        return float(((logits > 0) == same).float().mean())
    return float((logits.argmax(1) == labels).float().mean())


def adam(head: nn.Module, lr: float) -> torch.optim.Optimizer:
    """Return the optimiser of both stages (paper 4.1.3)."""
    return torch.optim.Adam(head.parameters(), lr=lr, fused=True)


def _round(
    head: Head, pseudo: RepresentedSet, labels: np.ndarray, settings: Pretrain, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return logits [Q, C] and labels [Q] of one round's queries."""
    drawn, batch = drawn_batch(pseudo, labels, settings, generator)
    if not head.meta:
        return head(batch.queries, batch.support), batch.labels
    outer = _batch(pseudo, another_round(labels, drawn, n_queries=settings.queries, generator=generator))
    return adapted_logits(head, batch, outer, settings.maml), outer.labels


def drawn_batch(
    pseudo: RepresentedSet, labels: np.ndarray, settings: Pretrain, generator: torch.Generator
) -> tuple[Round, Batch]:
    """Draw a round of pseudo-classes, and represent its images; the arguments are those of `pretrain`."""
    drawn = pretraining_round(
        labels, n_classes=settings.pseudo_classes, n_queries=settings.queries, generator=generator
    )
    return drawn, _batch(pseudo, drawn)


def _batch(pseudo: RepresentedSet, drawn: Round) -> Batch:
    truth = torch.from_numpy(drawn.labels).to(pseudo.device)
    return Batch(pseudo.take(drawn.queries), truth, pseudo.take(drawn.support))
