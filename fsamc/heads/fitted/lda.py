"""Linear discriminant analysis: distance to the class means in units of the spread within classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.head_kinds import LdaSettings


class LdaHead(FittedHead):
    """Mahalanobis distance to the class means by the covariance within classes, shrunk towards its mean variance.

    At one shot there is no spread within a class, and what is left is the Euclidean distance. The covariance is of
    rank n - C at most, so its inverse is applied through products of the images (Woodbury). No class is likelier for
    its number of images; but in the covariance each image counts alike, since one image alone shows no spread.
    """

    settings: LdaSettings

    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Compute means and spread of the classes' images [S_c, E]; answers are minus half of squares, [Q, C]."""
        means = torch.stack([images.mean(0) for images in support])
        within = torch.cat([images - mean for images, mean in zip(support, means, strict=True)])  # [n, E]
        variance, share = within.square().mean(), self.settings.shrinkage
        spread = bool(variance > 0)
        ratio = (1 - share) / (share * len(within) * variance) if spread else variance
        eye = torch.eye(len(within), dtype=within.dtype, device=within.device)
        inner = torch.linalg.inv(eye + ratio * within @ within.T)

        def compare(queries: Tensor) -> Tensor:
            apart = (queries[:, None] - means).flatten(0, 1)  # [Q * C, E]
            squares = apart.square().sum(-1)
            if spread:
                along = apart @ within.T
                squares = squares - ratio * ((along @ inner) * along).sum(-1)
            return -squares.view(-1, len(means)) / 2

        return compare
