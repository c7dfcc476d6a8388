"""The rows of a bank that would be normal at every patch of some images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.category_bank import OfBank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store


@dataclass(frozen=True, kw_only=True)
class NearestRows(OfBank):
    """What would be normal at every patch (paper 3.4, eq. 2): `indices` int32 [n, P], `distances` float32 [n, P].

    Residual maps follow from it and from the features, so they are not kept: 8 bytes a patch in place of 2 a channel.
    """

    kind: ClassVar[str] = "nearest"
    queries: FeatureSet | PseudoSet

    @cached_property
    def key(self) -> str:
        """Hash of the bank, of what its answers depend on and of the features."""
        return digest(self.kind, 2, self.bank.key, self.bank.reference.answer_settings, self.queries.key)

    @property
    def about(self) -> str:
        """The bank's category and seed, and what is compared with it."""
        return f"{self.bank.about}, {self.queries.kind}"

    @property
    def nbytes(self) -> int:
        """Two numbers of four bytes a patch."""
        n, patches, _ = self.queries.shape
        return 8 * n * patches

    @property
    def served_by(self) -> tuple[str, int]:
        """The bank's actor."""
        return self.bank.served_by

    def needs(self) -> Sequence[Artifact]:
        """Return the bank and the features."""
        return (self.bank, self.queries)

    def normal(self, store: Store) -> np.ndarray:
        """Return the rows of the bank [K, D]."""
        return self.bank.load(store).rows

    def arrays(self, store: Store) -> Arrays:
        """Search in blocks: the features are never all in memory."""
        distances, indices = self.bank.load(store).compare(store.get(self.queries)["features"])
        return {"distances": distances, "indices": indices.astype(np.int32)}
