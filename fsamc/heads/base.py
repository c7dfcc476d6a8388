"""The protocol of a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads import HEADS
from fsamc.residual import Maps

if TYPE_CHECKING:
    from fsamc.config import HeadSettings


class Head(nn.Module, ABC):
    """Compares queries with one support representation per class.

    `encode` and `relate` are all that classification needs. A head with `trained = True` also learns: from
    pseudo-defects, then from the support, by the loss of `relate`'s logits.

    Args:
        settings: the head's knobs.
        patches: P, patches of an image.
        dim: D, channels of a patch.
        generator: source of the initial weights.
    """

    trained: ClassVar[bool]

    @abstractmethod
    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__()

    @abstractmethod
    def encode(self, maps: Maps) -> Tensor:
        """Representation of each image, [B, ...]. The mean over a class's support represents the class."""

    @abstractmethod
    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Representations [Q, ...] and [C, ...] to logits float32 [Q, C], the higher the likelier."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar to minimise, of logits [Q, C] and labels int64 [Q]: cross-entropy over the classes."""
        return F.cross_entropy(logits, labels)


def head_class(kind: str) -> type[Head]:
    """The class registered under `kind`."""
    module, name = HEADS[kind].path.split(":")
    found = getattr(import_module(module), name)
    assert issubclass(found, Head)
    return found
