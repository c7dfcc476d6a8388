"""PatchCore: nearest row of a coreset (paper 3.2; Roth et al., CVPR 2022)."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar, TypeVar

import numpy as np

from fsamc.detectors.bank import MemoryBank
from fsamc.detectors.base import Detector, channel_scale
from fsamc.detectors.coreset import choose_bank
from fsamc.detectors.detector_kinds import BankSettings, PatchCoreSettings
from fsamc.detectors.good_images import GoodImages, PatchRows, patches_of

B = TypeVar("B", bound=BankSettings)


class Coreset(Detector[B]):
    """Some of the good patches are the rows. Keeps `rows` float16 [K, D] and `indices` int64 [K], which they are."""

    patchwise: ClassVar[bool] = True

    @classmethod
    def choose(cls, patches: PatchRows, settings: B, *, seed: int, device: str) -> np.ndarray:
        """Choose among patches [N, D], or what stands for them: int64 [K], in order of choice."""
        return choose_bank(
            patches,
            count=settings.count(len(patches)),
            projection=settings.projection,
            starts=settings.starts,
            seed=seed,
            candidates=settings.candidates,
            device=device,
        )

    @property
    def rows(self) -> np.ndarray:
        """The coreset."""
        return self.kept["rows"]

    @property
    def scale(self) -> np.ndarray:
        """Over the coreset, which covers what is normal evenly."""
        return channel_scale(self.rows)


class PatchCore(Coreset[PatchCoreSettings]):
    """The memory bank, as it is."""

    @classmethod
    def learn(
        cls, good: GoodImages, settings: PatchCoreSettings, *, seed: int, device: str = "cpu"
    ) -> dict[str, np.ndarray]:
        """Choose the coreset."""
        patches = patches_of(good)
        chosen = cls.choose(patches, settings, seed=seed, device=device)
        return {"indices": chosen, "rows": patches[chosen].astype(np.float16)}

    @classmethod
    def bytes_kept(cls, settings: PatchCoreSettings, good: tuple[int, int, int]) -> int:
        """Count the rows, two bytes a channel."""
        n_images, n_patches, dim = good
        return 2 * dim * settings.count(n_images * n_patches)

    @cached_property
    def _bank(self) -> MemoryBank:
        return MemoryBank(**self.kept)

    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare by exact L2 with one neighbour (paper 3.4)."""
        distances, indices = self._bank.nearest(features.reshape(-1, features.shape[-1]), device=self.device)
        return distances.reshape(features.shape[:2]), indices.reshape(features.shape[:2])
