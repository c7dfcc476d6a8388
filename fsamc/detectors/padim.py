"""PaDiM: a Gaussian at each position (Defard et al., ICPR 2021)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from fsamc.detectors.base import Detector, channel_spread
from fsamc.detectors.detector_kinds import PadimSettings
from fsamc.detectors.good_images import GoodImages
from fsamc.seeds import numpy_generator

BLOCK = 16  # positions, or images, at once: bounds the memory


class Padim(Detector[PadimSettings]):
    """The mean at the same position is what would be normal; the distance is Mahalanobis'.

    Keeps `mean` float32 [P, D]; `channels` int64 [d], drawn at random; `whitening` float32 [P, d, d], the inverse of
    the lower Cholesky factor L of each covariance: |whitening (x - mean)| is the Mahalanobis distance; `scale`.
    """

    measures: ClassVar[bool] = True

    @classmethod
    def learn(
        cls, good: GoodImages, settings: PadimSettings, *, seed: int, device: str = "cpu"
    ) -> dict[str, np.ndarray]:
        """Learn the mean and covariance of each position over the good images."""
        n_channels = good.shape[-1]
        draw = numpy_generator(seed, "padim channels").choice
        channels = np.sort(draw(n_channels, size=min(settings.channels, n_channels), replace=False))
        whitening = np.empty((good.shape[1], len(channels), len(channels)), np.float32)
        for first in range(0, len(whitening), BLOCK):
            part = slice(first, first + BLOCK)
            values = torch.from_numpy(np.stack([image[part][:, channels] for image in good]).astype(np.float64)).to(
                device
            )
            whitening[part] = whiten(covariances(values, settings.ridge)).cpu().numpy()
        total = sum((image.astype(np.float64) for image in good), np.zeros(good.shape[1:]))
        mean = (total / len(good)).astype(np.float32)
        return {"mean": mean, "channels": channels, "whitening": whitening, "scale": channel_spread(good, mean)}

    @classmethod
    def bytes_kept(cls, settings: PadimSettings, good: tuple[int, int, int]) -> int:
        """Count the means and a matrix per position."""
        _, n_patches, dim = good
        return 4 * n_patches * (dim + min(settings.channels, dim) ** 2)

    @property
    def rows(self) -> np.ndarray:
        """The means [P, D]: a position's row is its own."""
        return self.kept["mean"]

    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare by Mahalanobis' distance over the drawn channels."""
        channels = self.kept["channels"]
        mean = self.rows[:, channels]
        whitening = torch.from_numpy(self.kept["whitening"].copy()).to(self.device)
        distances = np.empty(features.shape[:2], np.float32)
        for first in range(0, len(features), BLOCK):
            part = slice(first, first + BLOCK)
            apart = torch.from_numpy(features[part][..., channels] - mean).to(self.device)  # [b, P, d]
            white = torch.bmm(apart.transpose(0, 1), whitening.mT)  # [P, b, d]
            distances[part] = torch.linalg.vector_norm(white, dim=-1).T.cpu().numpy()
        return distances, np.broadcast_to(np.arange(features.shape[1]), features.shape[:2])


def covariances(values: torch.Tensor, ridge: float) -> torch.Tensor:
    """Compute covariances of G images' values [G, b, d] at each position, over G - 1, with the ridge: [b, d, d].

    One image has none: then the ridge is all.
    """
    centred = (values - values.mean(dim=0)).transpose(0, 1)  # [b, G, d]
    spread = centred.mT @ centred / max(len(values) - 1, 1)
    return spread + ridge * torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)


def whiten(covariance: torch.Tensor) -> torch.Tensor:
    """Invert the lower Cholesky factors of [b, d, d]."""
    factors = torch.linalg.cholesky(covariance)
    identity = torch.eye(factors.shape[-1], dtype=factors.dtype, device=factors.device)
    return torch.linalg.solve_triangular(factors, identity.expand_as(factors), upper=False)
