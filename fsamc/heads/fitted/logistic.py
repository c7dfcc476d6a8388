"""Logistic regression from vectors to classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.head_kinds import LogisticSettings
from fsamc.heads.sphere import all_images, classes_alike


class LogisticHead(FittedHead):
    """A linear map fitted by cross-entropy with an L2 penalty, from zero, by L-BFGS until it has converged.

    That is in double precision. As ridge regression, it is fitted in the span of the support's images about their
    mean, which is no restriction: the best weights lie there.
    """

    settings: LogisticSettings

    @torch.enable_grad()
    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Fit on images of the classes [S_c, E]; answers for queries [Q, E] are logits [Q, C]."""
        support = [images.detach().double() for images in support]
        (images, labels), weights = all_images(support), classes_alike(support)
        middle = (weights[labels, None] * images).mean(0)
        images = images - middle
        products = images @ images.T
        answers = images.new_zeros(len(images), len(support), requires_grad=True)
        optimiser = torch.optim.LBFGS([answers], max_iter=200, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            size = (answers * (products @ answers)).sum()
            value = F.cross_entropy(products @ answers, labels, weights) + self.settings.penalty / 2 * size
            value.backward()
            return value

        optimiser.step(loss)
        weights = answers.detach()
        return lambda queries: ((queries - middle) @ images.T @ weights).to(queries.dtype)
