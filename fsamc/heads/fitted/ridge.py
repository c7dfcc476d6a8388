"""Ridge regression from vectors to classes (Bertinetto et al. 2019, R2-D2's base learner)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.head_kinds import RidgeSettings
from fsamc.heads.sphere import all_images, classes_alike


class RidgeHead(FittedHead):
    """A linear map of least squares from the support's vectors to one-hot classes, fitted in closed form.

    Vectors are seen from their mean. The fit is over the support's images, of which there are fewer than channels, so
    it is solved through their products: (X Xᵀ + n a W⁻¹) A = Y, answers q Xᵀ A. The weights W of the images are one
    where classes have equal numbers of them.
    """

    settings: RidgeSettings

    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Fit on images of the classes [S_c, E]."""
        images, labels = all_images(support)
        weights = classes_alike(support)[labels]
        middle = (weights[:, None] * images).mean(0)
        images = images - middle
        classes = F.one_hot(labels, len(support)).to(images.dtype)
        products = images @ images.T + (len(images) * self.settings.penalty / weights).diag()
        answers = torch.linalg.solve(products, classes - 1 / len(support))
        return lambda queries: (queries - middle) @ images.T @ answers
