"""PatchCore: nearest row of a coreset (paper 3.2; Roth et al., CVPR 2022)."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.detectors.bank import MemoryBank
from fsamc.detectors.base import Detector, channel_scale
from fsamc.detectors.coreset import choose_bank
from fsamc.detectors.detector_kinds import PatchCoreSettings
from fsamc.detectors.good_images import GoodImages, patches_of


class PatchCore(Detector[PatchCoreSettings]):
    """The memory bank. Keeps `rows` float16 [K, D] and `indices` int64 [K], which of the good patches they are."""

    patchwise: ClassVar[bool] = True

    @classmethod
    def learn(
        cls, good: GoodImages, settings: PatchCoreSettings, *, seed: int, device: str = "cpu"
    ) -> dict[str, np.ndarray]:
        """Choose the coreset."""
        patches = patches_of(good)
        chosen = choose_bank(
            patches,
            count=settings.count(len(patches)),
            projection=settings.projection,
            starts=settings.starts,
            seed=seed,
            candidates=settings.candidates,
            device=device,
        )
        return {"indices": chosen, "rows": patches[chosen].astype(np.float16)}

    @classmethod
    def bytes_kept(cls, settings: PatchCoreSettings, good: tuple[int, int, int]) -> int:
        """Count the rows, two bytes a channel."""
        n_images, n_patches, dim = good
        return 2 * dim * settings.count(n_images * n_patches)

    @property
    def rows(self) -> np.ndarray:
        """The coreset."""
        return self.kept["rows"]

    @cached_property
    def _bank(self) -> MemoryBank:
        return MemoryBank(**self.kept)

    @property
    def scale(self) -> np.ndarray:
        """Over the coreset, which covers what is normal evenly."""
        return channel_scale(self.rows)

    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare by exact L2 with one neighbour (paper 3.4)."""
        distances, indices = self._bank.nearest(features.reshape(-1, features.shape[-1]), device=self.device)
        return distances.reshape(features.shape[:2]), indices.reshape(features.shape[:2])
