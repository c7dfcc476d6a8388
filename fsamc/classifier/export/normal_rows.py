"""Normal rows of patches as torch modules: what detectors compare with, in tensor operations that can be exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fsamc.detectors.base import Detector
from fsamc.detectors.nearest import CLOSE_CALLS
from fsamc.detectors.padim import Padim
from fsamc.detectors.patchcore import PatchCore
from fsamc.errors import BadInput


class NormalRows(nn.Module, ABC):
    """Says what is normal at each patch."""

    @abstractmethod
    def of_pictures(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compare features [N, P, D] of whole pictures: distances [N, P], normal rows [N, P, D]."""

    @abstractmethod
    def of_patches(self, patches: Tensor, places: Tensor) -> Tensor:
        """Return the normal rows of patches [..., D] that lie at places int64 [...]: [..., D]."""


class BankRows(NormalRows):
    """Nearest row of a bank by exact L2, whichever picture or place; of rows at equal distances the lowest.

    A matrix product about the bank's mean finds a few candidates, whose differences are computed in full: so the
    distance between near-duplicates far from the origin is exact.
    """

    rows: Tensor
    centre: Tensor

    def __init__(self, rows: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("rows", torch.from_numpy(np.array(rows)))
        self.register_buffer("centre", self.rows.float().mean(0))

    def of_pictures(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compare each patch by itself."""
        distances, normal = self._nearest(features.flatten(0, 1))
        return distances.view(features.shape[:2]), normal.view(features.shape)

    def of_patches(self, patches: Tensor, places: Tensor) -> Tensor:
        """Compare each patch by itself."""
        del places
        return self._nearest(patches.flatten(0, -2))[1].view(patches.shape)

    def _nearest(self, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return distances [M] and rows [M, D] of queries [M, D]."""
        centred = self.rows.float() - self.centre
        squares = centred.square().sum(1) - 2 * (queries - self.centre) @ centred.T
        close = squares.topk(min(CLOSE_CALLS, len(centred)), dim=1, largest=False).indices.sort(dim=1).values
        rows = self.rows[close].float()  # [M, 4, D]
        distances = (queries[:, None] - rows).square().sum(2).sqrt()
        nearest = distances.amin(1)
        best = torch.where(distances == nearest[:, None], close, len(centred)).amin(1)
        return nearest, self.rows[best].float()


class PositionRows(NormalRows):
    """Mean at the same position, and Mahalanobis' distance from it over some channels."""

    rows: Tensor
    channels: Tensor
    whitening: Tensor

    def __init__(self, detector: Padim) -> None:
        super().__init__()
        for name, array in (("rows", detector.rows), *((n, detector.kept[n]) for n in ("channels", "whitening"))):
            self.register_buffer(name, torch.from_numpy(np.array(array)))

    def of_pictures(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Compare each patch with its position."""
        apart = (features - self.rows)[..., self.channels].transpose(0, 1)  # [P, N, d]
        distances = (apart @ self.whitening.mT).square().sum(2).sqrt().T
        return distances, self.rows.expand(features.shape)

    def of_patches(self, patches: Tensor, places: Tensor) -> Tensor:
        """Take the rows at these places."""
        del patches
        return self.rows[places]


def normal_rows(detector: Detector[Any]) -> NormalRows:
    """Return a detector's module. Raises BadInput for one that has none."""
    if isinstance(detector, Padim):
        return PositionRows(detector)
    if isinstance(detector, PatchCore):
        return BankRows(detector.rows)
    raise BadInput(f"reference.kind is {detector.settings.kind}, which cannot be exported; choose patchcore or padim")
