"""Base of heads that judge pairs: whether a query shows the same defect class as a support image."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.base import Head


class PairHead(Head):
    """A logit per pair, of which the positive ones say "the same class"; trained by weighted binary cross-entropy."""

    support_learns: ClassVar[bool] = True
    judges_pairs: ClassVar[bool] = True

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute binary cross-entropy over the Q·C pairs; the one positive in C weighs C - 1 (paper 3.3, eq. 1)."""
        n_classes = logits.shape[1]
        same = F.one_hot(labels, n_classes).to(logits.dtype)
        return F.binary_cross_entropy_with_logits(logits, same, pos_weight=logits.new_tensor(n_classes - 1.0))
