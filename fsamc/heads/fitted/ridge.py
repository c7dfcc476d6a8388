"""Ridge regression from vectors to classes (Bertinetto et al. 2019, R2-D2's base learner)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.fitted.base import FittedHead

if TYPE_CHECKING:
    from fsamc.heads.head_kinds import RidgeSettings


class RidgeHead(FittedHead):
    """A linear map of least squares from the support's vectors to one-hot classes, fitted in closed form.

    Vectors are seen from their mean. The fit is over the support's images, of which there are fewer than channels, so
    it is solved through their products: (X Xᵀ + n a I) A = Y, answers q Xᵀ A.
    """

    settings: RidgeSettings

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        """Fit on images of the classes [C, S, E] and answer for queries [Q, E]: [Q, C]."""
        n_classes, shots, _ = support.shape
        images = support.flatten(0, 1)
        middle = images.mean(0)
        images = images - middle
        eye = torch.eye(len(images), dtype=images.dtype, device=images.device)
        classes = F.one_hot(torch.arange(n_classes, device=images.device).repeat_interleave(shots)).to(images.dtype)
        products = images @ images.T + len(images) * self.settings.penalty * eye
        answers = torch.linalg.solve(products, classes - classes.mean(0))
        return (queries - middle) @ images.T @ answers
