"""Units of patches' parts: each channel's deviation among normal patches, or their whole covariance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fsamc.config.representation import Representation

Scaling = Callable[[Tensor], Tensor]


def mean_and_covariance(good: np.ndarray, device: str) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean float64 [D] and covariance float64 [D, D], over N, of good patches float16 [G, P, D].

    Products are of single precision about the mean and are summed over the images in double.
    """
    count = good.shape[0] * good.shape[1]
    mean = sum((image.sum(0, dtype=np.float64) for image in good), np.zeros(good.shape[-1])) / count
    covariance = torch.zeros(len(mean), len(mean), dtype=torch.float64, device=device)
    centre = torch.from_numpy(mean.astype(np.float32)).to(device)
    for image in good:
        apart = torch.from_numpy(image.astype(np.float32)).to(device) - centre
        covariance += (apart.T @ apart).double()
    return mean, (covariance / count).cpu().numpy()


class Whitening:
    """Divides by the square root of a covariance: what varies much among normal patches counts little.

    Of the matrices whose square is the inverse covariance it takes that of Cholesky. Which one makes no difference to
    dot products and distances.

    Args:
        covariance: float32 [D, D].
        shrinkage: share of it that gives way to its mean variance, (1 - s) C + s tr(C)/D I (Ledoit and Wolf 2004).
        device: where it works.

    Raises:
        ValueError: the shrunk covariance is singular.
    """

    def __init__(self, covariance: np.ndarray, shrinkage: float, device: str) -> None:
        full = torch.from_numpy(np.asarray(covariance, np.float64)).to(device)
        variance = full.diagonal().mean()
        eye = torch.eye(len(full), dtype=full.dtype, device=full.device)
        factor, problem = torch.linalg.cholesky_ex((1 - shrinkage) * full + shrinkage * variance * eye)
        if problem or not variance > 0:
            raise ValueError(
                "representation.scale: the covariance of normal patches cannot be inverted; "
                f"raise representation.shrinkage ({shrinkage}) or set representation.scale=channel"
            )
        self._factor = factor.float()

    def __call__(self, values: Tensor) -> Tensor:
        """Whiten values float32 [..., D]."""
        flat = values.reshape(-1, values.shape[-1])
        return torch.linalg.solve_triangular(self._factor, flat.T, upper=False).T.reshape(values.shape)


class ChannelScaling:
    """Divides each channel by its deviation float32 [D]."""

    def __init__(self, deviation: np.ndarray, device: str) -> None:
        self._deviation = torch.tensor(deviation, device=device)

    def __call__(self, values: Tensor) -> Tensor:
        """Scale values float32 [..., D]."""
        return values / self._deviation


def scaling_of(
    settings: Representation, *, covariance: np.ndarray | None, deviation: Callable[[], np.ndarray], device: str
) -> Scaling | None:
    """Return what brings parts into their units; None where they stay as they are.

    Args:
        settings: `scale` and `shrinkage`.
        covariance: float32 [D, D], of normal patches, where `scale: covariance` asks for it.
        deviation: gives that of each channel float32 [D], where `scale: channel` asks for it.
        device: where it works.

    Raises:
        ValueError: as `Whitening` does.
    """
    if settings.scale == "covariance":
        assert covariance is not None
        return Whitening(covariance, settings.shrinkage, device)
    return ChannelScaling(deviation(), device) if settings.scale == "channel" else None
