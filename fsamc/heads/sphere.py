"""Unit vectors of images, and their cosines about a common centre."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.representation.represented import Represented


def on_sphere(batch: Represented) -> Tensor:
    """Average each image's views and bring the mean back to the sphere; the profile is set beside it: [B, D + R]."""
    return torch.cat([F.normalize(batch.values.mean(1), dim=-1), batch.profiles], dim=-1)


def cosine(queries: Tensor, support: Tensor, *, centre: float, weights: Tensor | None = None) -> Tensor:
    """Compare queries [Q, E] with vectors [n, E] of the support by cosine: [Q, n].

    Both are seen from a point between the origin (`centre` 0) and the mean of the support's vectors (1). What all
    classes have in common, such as being a defect of this product at all, then counts for little, and no class is near
    to every query by lying near the middle (hubness; centring as in SimpleShot, Wang et al. 2019, about the support in
    place of base classes). In the mean a vector counts by its weight [n], of which the mean is one.
    """
    if centre:
        middle = centre * (support if weights is None else weights[:, None] * support).mean(0)
        queries, support = queries - middle, support - middle
    return F.normalize(queries, dim=-1) @ F.normalize(support, dim=-1).T


def cosine_by_class(queries: Tensor, support: Sequence[Tensor], *, centre: float) -> Tensor:
    """Compare queries [Q, E] with all images [S_c, E] of each of C classes: cosines [Q, C, S], S of the largest class.

    A class with fewer images has -inf in the place of those that it lacks. In the mean of the support, which they are
    seen from as in `cosine`, each class counts alike, whatever its number of images.
    """
    images, labels = all_images(support)
    cosines = cosine(queries, images, centre=centre, weights=classes_alike(support)[labels])
    return by_class(cosines, [len(images) for images in support])


def by_class(values: Tensor, counts: Sequence[int]) -> Tensor:
    """Part values [Q, n] of the images of C classes, [Q, C, S] with -inf in the place of images that a class lacks."""
    missing = [max(counts) - count for count in counts]
    parts = zip(values.split(counts, dim=1), missing, strict=True)
    return torch.stack([F.pad(one, (0, lacks), value=-torch.inf) for one, lacks in parts], dim=1)


def middle(support: Sequence[Tensor], *, centre: float) -> Tensor:
    """Return the point [E] that cosines are about: from the origin towards the mean of the classes' means.

    The images are [S_c, E] of each class, and `centre` is the share of the way, as in `cosine`.
    """
    images, labels = all_images(support)
    return centre * (classes_alike(support)[labels, None] * images).mean(0)


def all_images(support: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return the images of all classes [n, E], one class after the other, and the class of each, int64 [n]."""
    images, device = torch.cat(tuple(support)), support[0].device
    return images, torch.cat([torch.full((len(one),), label, device=device) for label, one in enumerate(support)])


def classes_alike(support: Sequence[Tensor]) -> Tensor:
    """Return weights [C] of images by class [S_c, E], by which classes count alike: one on average over images."""
    counts = support[0].new_tensor([len(images) for images in support])
    return counts.sum() / (len(counts) * counts)
