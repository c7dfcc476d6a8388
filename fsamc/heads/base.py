"""The protocol of a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.detectors.residual import Maps
from fsamc.heads import HEADS

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import HeadSettings


class Head(nn.Module, ABC):
    """Compares queries with one support representation per class.

    `encode` and `relate` are all that classification needs. A head with `trained = True` also learns: from
    pseudo-defects, then from the support, by the loss of `relate`'s logits.

    Args:
        settings: the head's knobs.
        patches: P, patches of an image.
        dim: D, channels of a patch.
        generator: source of the initial weights.

    Attributes:
        trained: whether it learns at all.
        episodes: who is query and who is support when it is fine-tuned, where the configuration leaves that to it.
        support_learns: whether gradients flow through the support's representations too.
        judges_pairs: a positive logit means "the same class": each pair is an answer by itself.
        meta: pretrained by MAML's nested steps (appendix G) instead of plain ones.
    """

    trained: ClassVar[bool]
    episodes: ClassVar[Literal["algorithm_1", "algorithm_2"]] = "algorithm_1"
    support_learns: ClassVar[bool] = False
    judges_pairs: ClassVar[bool] = False
    meta: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, settings: HeadSettings, *, patches: int, dim: int, generator: torch.Generator) -> None:
        super().__init__()

    @abstractmethod
    def encode(self, maps: Maps) -> Tensor:
        """Representation of each image, [B, ...]."""

    def represent(self, encoded: Tensor) -> Tensor:
        """What stands for a class, of its support images' representations [S, ...]: their mean."""
        return encoded.mean(0)

    @abstractmethod
    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Queries [Q, ...] and what stands for the classes [C, ...] to logits float32 [Q, C], higher is likelier."""

    def forward(self, queries: Maps, support: Maps) -> Tensor:
        """Logits [Q, C] of an episode, with one support image per class: C of them."""
        with torch.set_grad_enabled(self.support_learns and torch.is_grad_enabled()):
            anchors = torch.stack([self.represent(one[None]) for one in self.encode(support)])
        return self.relate(self.encode(queries), anchors)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Scalar to minimise, of logits [Q, C] and labels int64 [Q]: cross-entropy over the classes."""
        return F.cross_entropy(logits, labels)


def head_class(kind: str) -> type[Head]:
    """The class registered under `kind`, of those that see maps."""
    module, name = HEADS[kind].path.split(":")
    found = getattr(import_module(module), name)
    assert issubclass(found, Head)
    return found
