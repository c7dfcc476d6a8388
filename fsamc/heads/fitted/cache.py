"""Cache of support images that are asked one by one (Tip-Adapter and Tip-Adapter-F, Zhang et al. 2022)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.heads.fitted.base import FittedHead
from fsamc.heads.head_kinds import CacheSettings
from fsamc.heads.sphere import all_images, by_class, classes_alike, middle


class CacheHead(FittedHead):
    """Each support image votes for its class by exp(-sharpness (1 - cosine)); a class's votes are averaged.

    The published adapter adds the votes to a text encoder's opinion; here there is none. With `epochs` the keys, which
    are the images' vectors at first, are fine-tuned by AdamW, while the sharpness stays. The support is all there is to
    learn from, so each image is named by the keys of the others: no key learns to vote for itself. A class of one image
    has nobody to name it, and at one shot nothing is learnt.
    """

    settings: CacheSettings

    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Make keys of images of the classes [S_c, E], whose mean votes on queries [Q, E] are logarithms [Q, C]."""
        about, counts = middle(support, centre=self.settings.centre), [len(images) for images in support]
        images, labels = all_images(support)
        keys = F.normalize(images - about, dim=-1)
        if self.settings.epochs and max(counts) > 1:
            keys = self._trained(keys.detach(), labels, support)
        voters = keys.new_tensor(counts).log()
        return lambda queries: self._votes(F.normalize(queries - about, dim=-1) @ keys.T, counts) - voters

    def _votes(self, cosines: Tensor, counts: Sequence[int]) -> Tensor:
        """Sum the votes of all images by class, as logarithms: cosines [Q, n] to [Q, C]."""
        return (self.settings.sharpness * (by_class(cosines, counts) - 1)).logsumexp(-1)

    @torch.enable_grad()
    def _trained(self, images: Tensor, labels: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Return keys [n, E] that learnt to name each of the images [n, E] without its own."""
        counts = images.new_tensor([len(of_class) for of_class in support])
        keys, named = images.clone().requires_grad_(), counts[labels] > 1
        voters = (counts - F.one_hot(labels, len(counts)))[named].log()
        itself = torch.eye(len(images), dtype=torch.bool, device=images.device)
        optimiser = torch.optim.AdamW([keys], lr=self.settings.lr, eps=1e-4)
        for _ in range(self.settings.epochs):
            optimiser.zero_grad()
            cosines = (images @ F.normalize(keys, dim=-1).T).masked_fill(itself, -torch.inf)
            votes = self._votes(cosines[named], [len(of_class) for of_class in support]) - voters
            F.cross_entropy(votes, labels[named], classes_alike(support)).backward()
            optimiser.step()
        return F.normalize(keys.detach(), dim=-1)
