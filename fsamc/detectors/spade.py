"""SPADE: nearest good images, then the nearest of all their patches (Cohen & Hoshen, 2020)."""

from __future__ import annotations

import numpy as np

from fsamc.detectors.base import Retrieval, channel_spread, image_means
from fsamc.detectors.detector_kinds import SpadeSettings
from fsamc.detectors.good_images import GoodImages
from fsamc.detectors.nearest import nearest


class Spade(Retrieval[SpadeSettings]):
    """Images are compared by L2 between the means of their patches; the published method uses the network's last layer.

    The patch distance is that to one neighbour, as everywhere here; the published one is a mean over several. Keeps
    `means` float32 [G, D] and `scale`, over all good patches. Nothing is drawn.
    """

    @classmethod
    def learn(
        cls, good: GoodImages, settings: SpadeSettings, *, seed: int, device: str = "cpu"
    ) -> dict[str, np.ndarray]:
        """Learn what stands for each good image. Neither settings nor the seed nor the device matter."""
        means = image_means(good)
        return {"means": means, "scale": channel_spread(good, means.mean(axis=0, dtype=np.float64))}

    @classmethod
    def bytes_kept(cls, settings: SpadeSettings, good: tuple[int, int, int]) -> int:
        """Count a vector per image."""
        return 4 * good[0] * good[2]

    def unlikeness(self, image: np.ndarray) -> np.ndarray:
        """Compare by L2 between the means."""
        distances: np.ndarray = np.linalg.norm(self.kept["means"] - image_means(image[None]), axis=1)
        return distances

    def match(self, image: np.ndarray, retrieved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search by exact L2 all their patches, wherever these are."""
        n_patches = self.good.shape[1]
        distances, rows = nearest(image, self.good[retrieved].reshape(-1, image.shape[-1]), device=self.device)
        return distances, retrieved[rows // n_patches] * n_patches + rows % n_patches
