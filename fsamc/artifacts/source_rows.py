"""The clean patch under every patch of the pseudo-defects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.feature_set import OfGood
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store


@dataclass(frozen=True, kw_only=True)
class SourceRows(OfGood):
    """What is normal at every patch of a pseudo-defect: the patch of the good image that it was made from.

    `indices` int32 [n, P], rows of all good patches; `distances` float32 [n, P]. As `NearestRows`, and of no seed.
    """

    kind: ClassVar[str] = "sourcerows"
    queries: PseudoSet

    @cached_property
    def key(self) -> str:
        """Hash of the good features and the pseudo-defects."""
        return digest(self.kind, 1, self.good.key, self.queries.key)

    @property
    def nbytes(self) -> int:
        """Two numbers of four bytes a patch."""
        n, patches, _ = self.queries.shape
        return 8 * n * patches

    def needs(self) -> Sequence[Artifact]:
        """Return the good features and the pseudo-defects."""
        return (self.good, self.queries)

    def normal(self, store: Store) -> np.ndarray:
        """Return the good patches [G*P, D]."""
        features = store.get(self.good)["features"]
        return features.reshape(-1, features.shape[-1])

    def arrays(self, store: Store) -> Arrays:
        """Subtract image by image."""
        pseudo, good = store.get(self.queries), store.get(self.good)["features"]
        features, sources = pseudo["features"], pseudo["sources"]
        n_patches = features.shape[1]
        distances = np.empty(features.shape[:2], np.float32)
        for row, source in enumerate(sources):
            apart = np.subtract(features[row], good[source], dtype=np.float32)
            distances[row] = np.linalg.norm(apart, axis=-1)
        indices = sources[:, None] * n_patches + np.arange(n_patches)
        return {"distances": distances, "indices": indices.astype(np.int32)}
