"""Vectors of pictures in one view: what heads on vectors see, before parts and units are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.artifacts.base import Artifact, Computed
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.ground_truth import Masks
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.source_rows import SourceRows
from fsamc.config.compute import Compute
from fsamc.config.representation import Representation
from fsamc.data.category import Category
from fsamc.representation.region import RANKS, anomalous_patches, masked_patches, ranked
from fsamc.representation.views import IDENTITY, View
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store

_REGION = ("patches", "weights", "region")  # of the representation, what these arrays depend on


@dataclass(frozen=True, kw_only=True)
class ViewVectors(Computed):
    """Weighted means over the region of each picture in one view.

    `patches` float32 [n, D] are means of the patches, `normal` float32 [n, D] of what would be normal there; `ranked`
    float32 [n, R] are distances from normal at growing ranks of the untouched picture's patches. Residual, centred and
    raw vectors in any unit follow from them, since all of these are linear. Which patches, and how much each counts,
    is the turned anomaly map of the untouched picture; so of a view nothing else is kept.

    Attributes:
        rows: what would be normal in the pictures, and how far from it they are.
        view: another than the identity is there for images of the category alone.
        representation: the region.
    """

    kind: ClassVar[str] = "vectors"
    rows: NearestRows | SourceRows
    view: View
    representation: Representation

    @cached_property
    def key(self) -> str:
        """Hash of the rows, the view and the region; of masks, too, where they are the region."""
        region = self.representation.model_dump(mode="json", include={*_REGION})
        masks = self._masks.digests if self.representation.region == "masks" else {}
        return digest(self.kind, 1, self.rows.key, self.view.flip, self.view.turns, region, masks)

    @property
    def about(self) -> str:
        """The rows', and the view."""
        return f"{self.rows.about}, view {self.view}"

    @property
    def category(self) -> Category:
        """That of the pictures."""
        return self.rows.category

    @property
    def compute(self) -> Compute:
        """That of the rows."""
        return self.rows.compute

    @property
    def nbytes(self) -> int:
        """Four a number: two vectors and the distances at ranks."""
        n, _, dim = self.rows.queries.shape
        return 4 * n * (2 * dim + RANKS)

    def needs(self) -> Sequence[Artifact]:
        """Return the rows; they need the features and, where there is one, the bank."""
        return (self.rows,)

    def arrays(self, store: Store) -> Arrays:
        """Average the region of each picture, of a turned one after its features are extracted."""
        from fsamc.representation.view_patches import weighted_mean

        rows = store.get(self.rows)
        places, weights = self._region(rows["distances"])
        taken = self._untouched(store, places) if self.view == IDENTITY else self._turned(store, places)
        means = [[weighted_mean(weights[row], one) for one in pair] for row, pair in enumerate(taken)]
        patches, normal = map(np.stack, zip(*means, strict=True))
        return {"patches": patches, "normal": normal, "ranked": ranked(rows["distances"])}

    def _region(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return places int64 [n, k] and weights float32 [n, k]."""
        if self.representation.region == "masks":
            return masked_patches(self._masks.shares(distances.shape[1]))
        return anomalous_patches(distances, self.representation)

    def _untouched(self, store: Store, places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield each picture's patches and normal rows at its places, float32 [k, D]."""
        features, normal = store.get(self.rows.queries)["features"], self.rows.normal(store)
        indices = store.get(self.rows)["indices"]
        for row, of_picture in enumerate(places):
            there = normal[indices[row, of_picture]]
            yield features[row, of_picture].astype(np.float32), there.astype(np.float32)

    def _turned(self, store: Store, places: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the same of each turned picture, whose patches are compared with what is normal anew."""
        from fsamc.representation.view_patches import turned_patches

        assert isinstance(self.rows, NearestRows)
        assert isinstance(self.rows.queries, FeatureSet)
        queries, detector = self.rows.queries, self.rows.bank.load(store)
        settings, device = queries.features, self.compute.device
        for first in range(0, len(places), settings.batch):
            there = places[first : first + settings.batch]
            squares = np.stack([queries.square(first + row) for row in range(len(there))])
            pairs = turned_patches(squares, there, self.view, detector=detector, features=settings, device=device)
            yield from zip(*pairs, strict=True)

    @property
    def _masks(self) -> Masks:
        assert isinstance(self.rows.queries, FeatureSet)
        return Masks(self.rows.queries)
