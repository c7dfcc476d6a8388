"""Protocol of a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pkgutil import resolve_name
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.head_kinds import HeadSettings
from fsamc.representation.represented import Represented


class Head(nn.Module, ABC):
    """Compares queries with one support representation per class.

    `encode` and `relate` are all that classification needs. A head whose settings say `trained` also learns: from
    pseudo-defects, then from the support, by the loss of `relate`'s logits.

    Args:
        settings: of its kind.
        shape: N, D and R of the batches that it sees.
        generator: source of the initial weights.

    Attributes:
        episodes: who is query and who is support when it is fine-tuned, where the configuration leaves that to it.
        support_learns: whether gradients flow through the support's representations too.
        judges_pairs: a positive logit means "the same class": each pair is an answer by itself.
        meta: pretrained by MAML's nested steps (appendix G) instead of plain ones.
    """

    episodes: ClassVar[Literal["algorithm_1", "algorithm_2"]] = "algorithm_1"
    support_learns: ClassVar[bool] = False
    judges_pairs: ClassVar[bool] = False
    meta: ClassVar[bool] = False

    def __init__(self, settings: HeadSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> None:
        super().__init__()
        del shape, generator  # for heads that have weights
        self.settings = settings

    @abstractmethod
    def encode(self, batch: Represented) -> Tensor:
        """Represent each image, [B, ...]."""

    def represent(self, encoded: Tensor) -> Tensor:
        """Represent a class, of its support images' representations [S, ...]: by their mean."""
        return encoded.mean(0)

    @abstractmethod
    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Compare queries [Q, ...] with C classes, each as `represent` returns it: logits float32 [Q, C].

        Higher is likelier. Classes that are represented by all their images may have different numbers of them.
        """

    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Return what `relate` does to queries of these classes; what does not depend on queries is computed once."""
        return partial(self.relate, support=support)

    def forward(self, queries: Represented, support: Represented) -> Tensor:
        """Compute the logits [Q, C] of an episode with one support image per class: C of them."""
        with torch.set_grad_enabled(self.support_learns and torch.is_grad_enabled()):
            anchors = [self.represent(one[None]) for one in self.encode(support)]
        return self.relate(self.encode(queries), anchors)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the scalar to minimise, of logits [Q, C] and labels int64 [Q]: cross-entropy over the classes."""
        return F.cross_entropy(logits, labels)


def head_class(settings: HeadSettings | type[HeadSettings]) -> type[Head]:
    """Load the class of a head that does not see images themselves."""
    network = resolve_name(settings.network)
    assert issubclass(network, Head)
    return network


def make_head(settings: HeadSettings, *, shape: tuple[int, int, int], generator: torch.Generator) -> Head:
    """Make the head of these settings; the arguments are those of `Head`."""
    return head_class(settings)(settings, shape=shape, generator=generator)
