"""Pipeline from pictures to what a head sees of them, by what has been learnt from the good images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fsamc.config.representation import ViewSet
from fsamc.detectors.base import Detector
from fsamc.features.extraction import square_features
from fsamc.fold.config import FoldConfig
from fsamc.representation.region import anomalous_patches, profiles, ranked
from fsamc.representation.represented import MapSet, PartsOf, Represented, VectorSet
from fsamc.representation.units import scaling_of
from fsamc.representation.view_patches import turned_patches, weighted_mean
from fsamc.representation.views import IDENTITY, VIEWS, View
from fsamc.store.store import Arrays


@dataclass(frozen=True)
class Seen:
    """Pictures as the head sees them.

    Attributes:
        represented: what the head is given.
        distances: float32 [n, P], of each patch from what is normal there.
        features: float16 [n, P, D].
        indices: int64 [n, P], the normal rows.
    """

    represented: Represented
    distances: np.ndarray
    features: np.ndarray
    indices: np.ndarray


@dataclass(frozen=True)
class Pipeline:
    """What a fold's artifacts are to its images, for pictures that are of no fold.

    Attributes:
        config: every knob.
        detector: has learnt from the good images.
        statistics: `mean` float32 [D] and `covariance` float32 [D, D] of normal patches, where they are needed.
    """

    config: FoldConfig
    detector: Detector[Any]
    statistics: Arrays

    def __call__(self, squares: np.ndarray, views: ViewSet) -> Seen:
        """Represent pictures uint8 [n, S, S, 3] in these views."""
        features = square_features(squares, self.config.features, self.config.compute.device)
        distances, indices = self.detector.compare(features)
        if self.config.head.sees == "maps":
            maps = MapSet(features, self.detector.rows, indices, self._parts)
            return Seen(maps.take(range(len(squares))), distances, features, indices)
        places, weights = anomalous_patches(distances, self.config.representation)
        pairs = [self._means(squares, features, indices, places, weights, view) for view in VIEWS[views]]
        patches, normal = (np.stack(of_views, axis=1) for of_views in zip(*pairs, strict=True))
        return Seen(self._vectors(patches, normal, distances), distances, features, indices)

    def regions(self, seen: Seen, areas: Sequence[tuple[int, np.ndarray]]) -> Represented:
        """Represent areas, each of a picture's row and bool [P], as if nothing else in it were anomalous; unturned."""
        rows = [row for row, _ in areas]
        distances = np.where(np.stack([area for _, area in areas]), seen.distances[rows], np.float32(0))
        places, weights = anomalous_patches(distances, self.config.representation)
        each = list(zip(rows, places, weights, strict=True))
        patches = [weighted_mean(weight, seen.features[row][at].astype(np.float32)) for row, at, weight in each]
        normal = [weighted_mean(weight, self._normal(seen.indices[row][at])) for row, at, weight in each]
        return self._vectors(np.stack(patches)[:, None], np.stack(normal)[:, None], distances)

    def _means(
        self,
        squares: np.ndarray,
        features: np.ndarray,
        indices: np.ndarray,
        places: np.ndarray,
        weights: np.ndarray,
        view: View,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Average the region of each picture in a view, and of what is normal there: float32 [n, D] each."""
        if view == IDENTITY:
            patches = np.take_along_axis(features, places[..., None], 1).astype(np.float32)
            normal = self._normal(np.take_along_axis(indices, places, 1))
        else:
            settings, device = self.config.features, self.config.compute.device
            patches, normal = turned_patches(
                squares, places, view, detector=self.detector, features=settings, device=device
            )
        means = ([weighted_mean(*pair) for pair in zip(weights, rows, strict=True)] for rows in (patches, normal))
        of_patches, of_normal = map(np.stack, means)
        return of_patches, of_normal

    def _normal(self, indices: np.ndarray) -> np.ndarray:
        return self.detector.rows[indices].astype(np.float32)

    def _vectors(self, patches: np.ndarray, normal: np.ndarray, distances: np.ndarray) -> Represented:
        """Represent pictures by vectors float32 [n, V, D] of their views, and how far their anomalies reach."""
        extents = profiles(ranked(distances), self.statistics.get("covariance"), self.config.representation.extent)
        return VectorSet(patches, normal, extents, self._parts).take(range(len(patches)))

    @cached_property
    def _parts(self) -> PartsOf:
        settings, device = self.config.representation, self.config.compute.device
        scaling = scaling_of(
            settings,
            covariance=self.statistics.get("covariance"),
            deviation=lambda: self.detector.scale,
            device=device,
        )
        return PartsOf(settings.parts, self.statistics.get("mean"), scaling, device)
