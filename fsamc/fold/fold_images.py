"""The images of one fold as residual maps, by path, and its pseudo-defects: what its head learns from and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.compute import Stopwatch
from fsamc.data.category import Category, PathsByClass
from fsamc.detectors.base import Detector
from fsamc.detectors.residual import Maps, ResidualMaps
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import Inputs
from fsamc.store.store import Store

BATCH = 8  # images classified at once; a memory bound, each image's answer is its own


class FoldImages:
    """The maps of a fold's images by path, and what they are made from; what is missing in the store is built first.

    Attributes:
        maps: of all of the category's defect images, in its order.
    """

    def __init__(self, category: Category, config: FoldConfig, inputs: Inputs, store: Store, watch: Stopwatch) -> None:
        self.category, self.config, self.inputs = category, config, inputs
        self.store, self.watch = store, watch
        complete(inputs.artifacts(), store, watch)
        with watch.stage("inputs"):
            self.maps = self._maps(inputs.test)
        self._rows = {path: row for row, path in enumerate(category.defects)}

    def rows(self, paths: Iterable[str]) -> list[int]:
        """Where these images are in `maps`."""
        return [self._rows[path] for path in paths]

    def take(self, paths: Iterable[str]) -> Maps:
        """The maps of these images."""
        return self.maps.take(self.rows(paths))

    def batches(self, paths: Sequence[str]) -> Iterator[Maps]:
        """The maps of these images, a few at a time."""
        return in_batches(self.maps, self.rows(paths))

    def means(self, support: PathsByClass) -> Maps | None:
        """Per class the map of its support's pixelwise average, where the configuration asks for them.

        None also where a class's support is one image, which is its own average.
        """
        if self.inputs.means is None or min(map(len, support.values())) < 2:
            return None
        assert isinstance(self.inputs.means.queries, FeatureSet)
        rows = {paths: row for row, paths in enumerate(self.inputs.means.queries.pictures)}
        return self._maps(self.inputs.means).take([rows[tuple(paths)] for paths in support.values()])

    @property
    def pseudo_labels(self) -> np.ndarray:
        """The pseudo-class of every pseudo-defect, int64 [n]."""
        assert self.inputs.pseudo is not None
        return np.asarray(self.store.get(self.inputs.pseudo)["labels"])

    def pseudo_to_learn(self) -> ResidualMaps:
        """Pseudo-defects as `pseudo.residual` says: minus the bank's rows, or minus the image each was made from."""
        return self.pseudo_as_queries() if self.config.pseudo.residual == "bank" else self._minus_sources()

    def pseudo_as_queries(self) -> ResidualMaps:
        """Pseudo-defects treated as any image that is to be named: minus the bank's rows."""
        assert self.inputs.pseudo_nearest is not None
        return self._maps(self.inputs.pseudo_nearest)

    def _minus_sources(self) -> ResidualMaps:
        assert self.inputs.pseudo is not None
        pseudo = self.store.get(self.inputs.pseudo)
        good = self.store.get(self.inputs.good)["features"]
        n_patches = good.shape[1]
        return ResidualMaps(
            features=pseudo["features"],
            normal=good.reshape(-1, good.shape[-1]),
            indices=pseudo["sources"][:, None] * n_patches + np.arange(n_patches),
            residual=self.config.residual,
            scale=self._scale(self.inputs.test.bank.load(self.store)),
            device=self.config.compute.device,
        )

    def _maps(self, nearest: NearestRows) -> ResidualMaps:
        detector, found = nearest.bank.load(self.store), self.store.get(nearest)
        return ResidualMaps(
            features=self.store.get(nearest.queries)["features"],
            normal=detector.rows,
            indices=found["indices"],
            residual=self.config.residual,
            scale=self._scale(detector),
            device=self.config.compute.device,
            distances=found["distances"] if detector.measures else None,
        )

    def _scale(self, detector: Detector) -> np.ndarray | None:
        return detector.scale if self.config.reference.scale == "bank" else None


def in_batches(maps: ResidualMaps, rows: Sequence[int] | np.ndarray) -> Iterator[Maps]:
    """Some of the maps, a few at a time."""
    return (maps.take(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH))


def complete(artifacts: Sequence[Artifact], store: Store, watch: Stopwatch) -> None:
    """Build what is missing. Only the looking counts as this fold's own time."""
    with watch.stage("inputs"):
        missing = [artifact for artifact in artifacts if not store.has(artifact)]
    for artifact in missing:
        store.get(artifact)
