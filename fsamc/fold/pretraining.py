"""Pretraining of a fold's head: once in a process for all folds that differ in draw and shots alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

import numpy as np
import torch

from fsamc.artifacts.base import Artifact
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import pretrains
from fsamc.heads.base import Head, make_head
from fsamc.seeds import torch_generator
from fsamc.store.digests import digest
from fsamc.training import loop as training

MOST = 1 << 27  # bytes of weights that are kept; a memory bound, a head that is gone is pretrained again


class Pretraining(NamedTuple):
    """A head before it sees any support, and the accuracy of each of its rounds. Neither is ever changed."""

    head: Head
    rounds: tuple[float, ...]

    @property
    def nbytes(self) -> int:
        """Size of the weights."""
        return sum(weights.nbytes for weights in self.head.state_dict().values())


class PretrainingMemo:
    """The pretrainings that this process did last, by what they depend on."""

    def __init__(self, most: int) -> None:
        self._most, self._kept, self._lock = most, OrderedDict[str, Pretraining](), Lock()

    def get(self, key: str, make: Callable[[], Pretraining]) -> Pretraining:
        """Return what is kept under a key, else what `make` returns; forget those that were not asked for longest."""
        with self._lock:
            kept = self._kept.pop(key, None)
        pretraining = kept or make()
        with self._lock:
            self._kept[key] = pretraining
            while sum(one.nbytes for one in self._kept.values()) > self._most:
                self._kept.popitem(last=False)
        return pretraining


_memo = PretrainingMemo(MOST)


def pretraining(images: FoldImages, rows: np.ndarray | None = None) -> Pretraining:
    """Return a fold's head, pretrained as far as it learns.

    Args:
        images: of the fold.
        rows: int64, the pseudo-defects that it is pretrained on; None for all of them.
    """
    if not pretrains(images.config):
        return Pretraining(_fresh_head(images), ())
    with images.watch.stage("pretrain"):
        return _memo.get(_key(images, rows), lambda: _pretrain(images, rows))


def _pretrain(images: FoldImages, rows: np.ndarray | None) -> Pretraining:
    head, labels, pseudo = _fresh_head(images), images.pseudo_labels, images.pseudo_to_learn()
    if rows is not None:
        labels, pseudo = labels[rows], pseudo.only(rows)
    generator = torch_generator(images.inputs.seed, "pretraining rounds")
    return Pretraining(head, tuple(training.pretrain(head, pseudo, labels, images.config.pretrain, generator)))


def _key(images: FoldImages, rows: np.ndarray | None) -> str:
    """Return a hash of everything that a pretraining depends on: of the support it is nothing."""
    inputs, pseudo = images.inputs, images.inputs.pseudo_rows()
    read: list[Artifact | None] = [pseudo, inputs.bank, inputs.statistics]
    if images.config.head.sees == "vectors":
        read += inputs.vectors(pseudo)
    settings = images.config.model_dump(mode="json", include={"representation", "head", "pretrain", "compute"})
    only = None if rows is None else rows.tolist()
    return digest([one.key for one in read if one], settings, images.shape, inputs.seed, only)


def _fresh_head(images: FoldImages) -> Head:
    generator = torch_generator(images.inputs.seed, "head weights")
    head = make_head(images.config.head, shape=images.shape, generator=generator)
    return head.to(torch.device(images.device))
