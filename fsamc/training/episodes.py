"""Support/query episodes: which images train a head, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fsamc.representation.represented import Represented


class Episode(NamedTuple):
    """One step of fine-tuning: the query's class and the positions of query and support within their classes."""

    label: int
    query: int  # which of its class's shots is the query
    support: int  # which shot of every class is the support


class Round(NamedTuple):
    """One round of pretraining, as rows of the pseudo-defects."""

    support: np.ndarray  # int64 [C], one row per drawn pseudo-class
    queries: np.ndarray  # int64 [Q]
    labels: np.ndarray  # int64 [Q], positions among the drawn pseudo-classes


class Batch(NamedTuple):
    """The images of one step."""

    queries: Represented
    labels: Tensor  # int64 [Q], positions among the classes
    support: Represented  # one image per class


def algorithm_1(n_classes: int, shots: int) -> Iterator[Episode]:
    """Yield the episodes of one epoch of fine-tuning (paper, algorithm 1), class by class and shot by shot.

    Each support image in turn is the query. For each other shot j of its class, shot j of every class is the
    support: C·S·(S-1) episodes. The query returns to the bank after its turn.
    """
    for label in range(n_classes):
        for query in range(shots):
            for support in range(shots):
                if support != query:
                    yield Episode(label, query, support)


def algorithm_2(n_classes: int, shots: int) -> Iterator[Episode]:
    """Yield the episodes of one epoch of the vanilla head's fine-tuning (paper, algorithm 2).

    The first image of every class is set aside as the support; each of the others is the query once: C·(S-1) episodes.
    """
    for label in range(n_classes):
        for query in range(1, shots):
            yield Episode(label, query, support=0)


EPISODES: dict[str, Callable[[int, int], Iterator[Episode]]] = {"algorithm_1": algorithm_1, "algorithm_2": algorithm_2}


def pretraining_round(labels: np.ndarray, *, n_classes: int, n_queries: int, generator: torch.Generator) -> Round:
    """Draw pseudo-classes, one support image of each, and queries among their other images (paper 4.1.3).

    Args:
        labels: int64 [n], the pseudo-class of every pseudo-defect.
        n_classes: pseudo-classes to draw, without replacement.
        n_queries: queries to draw, without replacement as far as they go.
        generator: source of randomness.
    """
    classes = np.unique(labels)
    drawn = classes[_permutation(len(classes), generator)[:n_classes]]
    support, rest = [], []
    for label in drawn:
        rows = np.flatnonzero(labels == label)
        rows = rows[_permutation(len(rows), generator)]
        support.append(rows[0])
        rest.append(rows[1:])
    pool = np.concatenate(rest)
    positions = np.repeat(np.arange(len(drawn)), [len(rows) for rows in rest])
    order = _permutation(len(pool), generator)[:n_queries]
    return Round(np.asarray(support), pool[order], positions[order])


def another_round(labels: np.ndarray, first: Round, *, n_queries: int, generator: torch.Generator) -> Round:
    """Draw a round of as many pseudo-classes that are not in `first`; where too few are left, of any.

    With ten drawn of ten both rounds have the same classes, in another order and with other images, drawn afresh.
    """
    n_classes = len(first.support)
    others = np.flatnonzero(~np.isin(labels, labels[first.support]))
    rows = others if len(np.unique(labels[others])) >= n_classes else np.arange(len(labels))
    drawn = pretraining_round(labels[rows], n_classes=n_classes, n_queries=n_queries, generator=generator)
    return Round(rows[drawn.support], rows[drawn.queries], drawn.labels)


def _permutation(n: int, generator: torch.Generator) -> np.ndarray:
    return torch.randperm(n, generator=generator).numpy()
