"""Ground truth of a category's pictures on the grid of patches: the region of published comparisons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsamc.artifacts.feature_set import FeatureSet
from fsamc.data.images import read_mask, to_square
from fsamc.errors import BadInput
from fsamc.store.digests import file_digest


@dataclass(frozen=True)
class Masks:
    """The masks of some pictures.

    Attributes:
        pictures: of one image each.

    Raises BadInput for an image without a mask, and for several averaged into one.
    """

    pictures: FeatureSet

    @property
    def digests(self) -> list[str]:
        """Hash of each mask file's content."""
        return [file_digest(self.pictures.category.folder / path) for path in self._paths()]

    def shares(self, n_patches: int) -> np.ndarray:
        """Return which share of each patch is covered, float32 [n, P]; of an empty mask all of every patch."""
        side = round(n_patches**0.5)
        shares = np.empty((self.pictures.n_pictures, n_patches), np.float32)
        for row, path in enumerate(self._paths()):
            mask = read_mask(self.pictures.category.folder / path)
            square = to_square(np.repeat(255 * mask[..., None].astype(np.uint8), 3, axis=2), self.pictures.features)
            cells = np.array_split(np.arange(len(square)), side)
            covered = np.array([[square[np.ix_(down, right)].mean() for right in cells] for down in cells]) / 255
            shares[row] = covered.ravel() if covered.any() else 1.0
        return shares

    def _paths(self) -> list[str]:
        category = self.pictures.category
        paths = []
        for images in self.pictures.pictures:
            if len(images) > 1:
                raise BadInput(
                    "support.mean is image, and images averaged pixel by pixel have no mask, but representation.region "
                    "is masks; set support.mean=embedding or representation.region=anomaly"
                )
            if images[0] not in category.masks:
                raise BadInput(
                    f"{category.folder / images[0]}: no mask below ground_truth, but representation.region is masks; "
                    "add the mask or set representation.region=anomaly"
                )
            paths.append(category.masks[images[0]])
        return paths
