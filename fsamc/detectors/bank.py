"""Memory bank of one (category, seed): what is normal here (paper 3.2; PatchCore)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fsamc.detectors.coreset import choose_bank
from fsamc.detectors.exact_search import ExactSearch
from fsamc.detectors.nearest import check_shapes, nearest


@dataclass(frozen=True, eq=False)
class MemoryBank:
    """A coreset of the good images' patch features.

    Attributes:
        rows: float32 or float16 [K, D], patch features in the order in which the coreset chose them.
        indices: int64 [K], which rows of the good patches they are.
    """

    rows: np.ndarray
    indices: np.ndarray

    @classmethod
    def build(
        cls,
        features: np.ndarray,
        ratio: float = 0.1,
        seed: int = 1,
        *,
        projection: int = 128,
        starts: int = 10,
        device: str = "cpu",
    ) -> MemoryBank:
        """Choose the coreset of good patches (paper 4.1.3).

        Args:
            features: float32 or float16 [N, D], may be memory-mapped.
            ratio: share of the patches kept, in (0, 1].
            seed: changes the projection and the starting points.
            projection: channels of the random projection in which distances are compared.
            starts: random points whose mean distance decides the first choice.
            device: where the arithmetic runs, `cpu` or `cuda`.

        Raises:
            ValueError: `ratio` is not in (0, 1].
        """
        if not 0 < ratio <= 1:
            raise ValueError(f"expected a ratio in (0, 1], found {ratio}")
        count = max(1, int(len(features) * ratio))
        indices = choose_bank(features, count=count, projection=projection, starts=starts, seed=seed, device=device)
        return cls(rows=np.array(features[indices]), indices=indices)

    def nearest(self, features: np.ndarray, *, device: str = "cpu") -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest row of each feature by exact L2.

        Args:
            features: float32 or float16 [M, D], may be memory-mapped.
            device: where the arithmetic runs, `cpu` or `cuda`.

        Returns:
            distances float32 [M], indices int64 [M].
        """
        if device != "cpu":
            return nearest(features, self.rows, device=device)
        check_shapes(features, self.rows)
        return self._search(features)

    @cached_property
    def _search(self) -> ExactSearch:
        """The axes and bounds of the rows, which take some tenths of a second, once for all queries."""
        return ExactSearch(self.rows)

    def residuals(self, features: np.ndarray, *, device: str = "cpu") -> np.ndarray:
        """Subtract from each feature its nearest row: float32 [M, D] (paper 3.4)."""
        _, indices = self.nearest(features, device=device)
        return np.subtract(features, self.rows[indices], dtype=np.float32)


def anomaly_score(distances: np.ndarray) -> np.ndarray:
    """Score how anomalous each image is, float32 [n]: by the largest of its patches' distances [n, P].

    PatchCore's equation 6, without the weight of its equation 7, which looks at further neighbours:
    one neighbour is used everywhere here.
    """
    return np.asarray(distances, dtype=np.float32).max(axis=1)
