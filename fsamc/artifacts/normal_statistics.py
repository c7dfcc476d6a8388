"""Mean and covariance of a category's normal patches: what `scale: covariance` and `centred` parts go by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.artifacts.feature_set import OfGood
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store


@dataclass(frozen=True, kw_only=True)
class NormalStatistics(OfGood):
    """Of all patches of the good images: `mean` float32 [D], `covariance` float32 [D, D].

    They depend on no seed and no detector, so they lie beside the good features and not in a bank.
    """

    kind: ClassVar[str] = "statistics"

    @cached_property
    def key(self) -> str:
        """Hash of the good features."""
        return digest(self.kind, 1, self.good.key)

    @property
    def nbytes(self) -> int:
        """Four a number."""
        dim = self.good.shape[-1]
        return 4 * dim * (dim + 1)

    def arrays(self, store: Store) -> Arrays:
        """Add up over the images, one by one."""
        from fsamc.representation.units import mean_and_covariance

        mean, covariance = mean_and_covariance(store.get(self.good)["features"], self.compute.device)
        return {"mean": mean.astype(np.float32), "covariance": covariance.astype(np.float32)}
