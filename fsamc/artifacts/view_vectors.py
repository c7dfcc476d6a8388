"""Vectors of pictures, one in each view: what heads on vectors see, before parts and units are chosen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.masks import Masks
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.source_rows import SourceRows
from fsamc.config.compute import Compute
from fsamc.config.representation import Representation
from fsamc.data.category import Category
from fsamc.representation.region import anomalous_patches, masked_patches, ranked
from fsamc.representation.views import IDENTITY, View, grid_of
from fsamc.store.arrays import create_array, save_array
from fsamc.store.digests import digest
from fsamc.store.store import Store

PICTURES = 16  # turned and searched at once; a memory bound
_REGION = ("patches", "weights", "region")  # of the representation, what these arrays depend on


@dataclass(frozen=True, kw_only=True)
class ViewVectors:
    """Weighted means over the region of each picture, view by view.

    `patches` float32 [n, V, D] are means of the patches, `normal` float32 [n, V, D] of what would be normal there;
    `ranked` float32 [n, R] are distances from normal at growing ranks of a picture's patches.
    Residual, centred and raw vectors in any unit follow from them, since all of these are linear. Which patches, and
    how much each counts, is the turned anomaly map of the picture as it is; so of a view nothing else is kept.

    Attributes:
        rows: what would be normal in the pictures, and how far from it they are.
        views: those other than the identity are there for images of the category alone.
        representation: the region.
    """

    kind: ClassVar[str] = "vectors"
    rows: NearestRows | SourceRows
    views: tuple[View, ...]
    representation: Representation

    @cached_property
    def key(self) -> str:
        """Hash of the rows, the views and the region; of masks, too, where they are the region."""
        region = self.representation.model_dump(mode="json", include={*_REGION})
        views = [[view.flip, view.turns] for view in self.views]
        masks = self._masks.digests if self.representation.region == "masks" else {}
        return digest(self.kind, 1, self.rows.key, views, region, masks)

    @property
    def about(self) -> str:
        """The rows', and how many views."""
        return f"{self.rows.about}, {len(self.views)} view{'s' if len(self.views) > 1 else ''}"

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
        """Eight a channel and view."""
        n, _, dim = self.rows.queries.shape
        return 8 * n * len(self.views) * dim

    @property
    def served_by(self) -> None:
        """No actor: workers map the files."""
        return

    def needs(self) -> Sequence[Artifact]:
        """Return the rows; they need the features and, where there is one, the bank."""
        return (self.rows,)

    def build(self, store: Store, into: Path) -> None:
        """Average the region of each picture as it is, and of each turned one after its features are extracted."""
        from fsamc.hardware import threads

        rows, features = store.get(self.rows), store.get(self.rows.queries)["features"]
        n, _, dim = features.shape
        patches, normal = (
            create_array(into / f"{name}.npy", np.float32, (n, len(self.views), dim)) for name in ("patches", "normal")
        )
        save_array(into / "ranked.npy", ranked(rows["distances"]))
        with threads(self.compute):
            places, weights = self._region(rows["distances"])
            here = self.views.index(IDENTITY)
            for row in range(n):
                patches[row, here] = weights[row] @ features[row, places[row]].astype(np.float32)
            of_rows, indices = self.rows.normal(store), rows["indices"]
            for row in range(n):
                normal[row, here] = weights[row] @ of_rows[indices[row, places[row]]].astype(np.float32)
            turned = [number for number in range(len(self.views)) if number != here]
            if turned:
                for first, taken, nearest in self._turned(store, [self.views[number] for number in turned], places):
                    last = first + len(taken)
                    for array, values in ((patches, taken), (normal, nearest)):
                        array[first:last, turned] = np.einsum("nk,nvkd->nvd", weights[first:last], values)
        patches.flush()
        normal.flush()

    def _region(self, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return places int64 [n, k] and weights float32 [n, k]."""
        if self.representation.region == "masks":
            return masked_patches(self._masks.shares(distances.shape[1]))
        return anomalous_patches(distances, self.representation)

    def _turned(
        self, store: Store, views: Sequence[View], places: np.ndarray
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Yield, some pictures at a time, their first number and, float32 [n, V, k, D], patches and normal rows."""
        from fsamc.features.extraction import square_features

        assert isinstance(self.rows, NearestRows)
        assert isinstance(self.rows.queries, FeatureSet)
        queries, detector = self.rows.queries, self.rows.bank.load(store)
        for first in range(0, len(places), PICTURES):
            taken, normal = [], []
            for row in range(first, min(first + PICTURES, len(places))):
                square = queries.square(row)
                turned = np.stack([view.of(square) for view in views])
                features = square_features(turned, self.rows.queries.features, self.compute.device)
                there = _places_after(views, features.shape[1])[:, places[row]][..., None]
                taken.append(np.take_along_axis(features, there, 1))
                if not detector.patchwise:
                    _, indices = detector.compare(features)
                    normal.append(detector.rows[np.take_along_axis(indices, there[..., 0], 1)])
            patches = np.stack(taken)  # [n, V, k, D]
            if detector.patchwise:
                _, indices = detector.compare(patches.reshape(len(patches), -1, patches.shape[-1]))
                normal = detector.rows[indices].reshape(patches.shape)
            yield first, patches.astype(np.float32), np.asarray(normal, np.float32)

    @property
    def _masks(self) -> Masks:
        assert isinstance(self.rows.queries, FeatureSet)
        return Masks(self.rows.queries)


def _places_after(views: Sequence[View], n_patches: int) -> np.ndarray:
    """Return where each patch of a picture lies after it is turned, int64 [V, P]."""
    grid = grid_of(np.arange(n_patches))
    return np.stack([np.argsort(view.of(grid), axis=None) for view in views])
