"""Linear adapter before the prototype (after Zip-Adapter-F's zero-initialised projection, MVREC, AAAI 2025)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.head_kinds import AdapterSettings
from fsamc.heads.sphere import all_images, classes_alike, middle


class AdapterHead(FittedHead):
    """Cosine to the class means after a linear map I + Uᵀ B U, which a few steps of Adam fit to the support.

    B is zero at first, so that it begins as the prototype head. The rows of U are the support's images, as unit vectors
    from the common middle; what lies beside them is left as it is. Each image is named by the means of the others, so
    from two shots on; a class of one image has nobody to name it. An image is the mean of its
    views: a map that was fitted to views one by one was worse.
    """

    settings: AdapterSettings

    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Fit on images of the classes [S_c, E], with whose means queries [Q, E] are compared: cosines [Q, C]."""
        about = middle(support, centre=self.settings.centre)
        apart = [images.detach() - about for images in support]
        directions = F.normalize(torch.cat(apart), dim=-1)
        weights = self._fitted(apart, directions)
        means = _adapted(torch.stack([images.mean(0) for images in apart]), directions, weights)
        return lambda queries: _adapted(queries - about, directions, weights) @ means.T

    @torch.enable_grad()
    def _fitted(self, support: Sequence[Tensor], directions: Tensor) -> Tensor:
        """Return B [n, n]."""
        weights = directions.new_zeros(len(directions), len(directions), requires_grad=True)
        images, labels = all_images(support)
        counts = images.new_tensor([len(of_class) for of_class in support])[labels, None]
        if counts.max() < 2:
            return weights.detach()
        named, means = counts[:, 0] > 1, torch.stack([of_class.mean(0) for of_class in support])
        images, labels = images[named], labels[named]
        others = (counts[named] * means[labels] - images) / (counts[named] - 1)
        own = F.one_hot(labels, len(support)) > 0
        optimiser = torch.optim.Adam([weights], lr=self.settings.lr)
        for _ in range(self.settings.epochs):
            optimiser.zero_grad()
            queries, anchors, left = (_adapted(one, directions, weights) for one in (images, means, others))
            cosines = torch.where(own, (queries * left).sum(-1, keepdim=True), queries @ anchors.T)
            F.cross_entropy(cosines / self.settings.temperature, labels, classes_alike(support)).backward()
            optimiser.step()
        return weights.detach()


def _adapted(vectors: Tensor, directions: Tensor, weights: Tensor) -> Tensor:
    """Map vectors [m, E] along directions [n, E] by weights [n, n], to unit length."""
    return F.normalize(vectors + vectors @ directions.T @ weights.T @ directions, dim=-1)
