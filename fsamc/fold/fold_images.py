"""Images of one fold as residual maps, by path, and its pseudo-defects: what its head learns from and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.data.category import PathsByClass
from fsamc.detectors.base import Detector
from fsamc.detectors.residual import Maps, ResidualMaps
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.stopwatch import Stopwatch
from fsamc.store.store import Store

BATCH = 8  # images classified at once; a memory bound, each image's answer is its own


class FoldImages:
    """The maps of a fold's images by path, and what they are made from.

    Attributes:
        maps: of all of the category's defect images, in its order.
    """

    def __init__(self, inputs: FoldInputs, store: Store, watch: Stopwatch) -> None:
        self.inputs, self.config = inputs, inputs.config
        self.store, self.watch = store, watch
        with watch.stage("inputs"):
            self.maps = self._maps(inputs.defects)
        self._rows = {path: row for row, path in enumerate(inputs.category.defects)}

    def rows(self, paths: Iterable[str]) -> list[int]:
        """Return where these images are in `maps`."""
        return [self._rows[path] for path in paths]

    def take(self, paths: Iterable[str]) -> Maps:
        """Return the maps of these images."""
        return self.maps.take(self.rows(paths))

    def batches(self, paths: Sequence[str]) -> Iterator[Maps]:
        """Yield the maps of these images, a few at a time."""
        return in_batches(self.maps, self.rows(paths))

    def means(self, support: PathsByClass) -> Maps | None:
        """Return per class the map of its support's pixelwise average, where the configuration asks for them.

        None also where a class's support is one image, which is its own average.
        """
        averages = self.inputs.averages
        if averages is None or min(map(len, support.values())) < 2:
            return None
        rows = {paths: row for row, paths in enumerate(averages.pictures)}
        return self._maps(averages).take([rows[tuple(paths)] for paths in support.values()])

    @property
    def pseudo_labels(self) -> np.ndarray:
        """The pseudo-class of every pseudo-defect, int64 [n]."""
        return np.asarray(self.store.get(self._pseudo)["labels"])

    def pseudo_to_learn(self) -> ResidualMaps:
        """Return pseudo-defects as `pseudo.residual` says: minus the bank's rows, or minus each one's good image."""
        return self.pseudo_as_queries() if self.config.pseudo.residual == "bank" else self._minus_sources()

    def pseudo_as_queries(self) -> ResidualMaps:
        """Return pseudo-defects treated as any image that is to be named: minus the bank's rows."""
        return self._maps(self._pseudo)

    @property
    def _pseudo(self) -> PseudoSet:
        assert self.inputs.pseudo is not None
        return self.inputs.pseudo

    def _minus_sources(self) -> ResidualMaps:
        pseudo, good = self.store.get(self._pseudo), self.store.get(self.inputs.bank.good)["features"]
        n_patches = good.shape[1]
        return ResidualMaps(
            features=pseudo["features"],
            normal=good.reshape(-1, good.shape[-1]),
            indices=pseudo["sources"][:, None] * n_patches + np.arange(n_patches),
            residual=self.config.residual,
            scale=self._scale(self.inputs.bank.load(self.store)),
            device=self.config.compute.device,
        )

    def _maps(self, queries: FeatureSet | PseudoSet) -> ResidualMaps:
        detector, nearest = self.inputs.bank.load(self.store), self.store.get(self.inputs.nearest(queries))
        return ResidualMaps(
            features=self.store.get(queries)["features"],
            normal=detector.rows,
            indices=nearest["indices"],
            residual=self.config.residual,
            scale=self._scale(detector),
            device=self.config.compute.device,
            distances=nearest["distances"] if detector.measures else None,
        )

    def _scale(self, detector: Detector) -> np.ndarray | None:
        return detector.scale if self.config.reference.scale == "bank" else None


def in_batches(maps: ResidualMaps, rows: Sequence[int] | np.ndarray) -> Iterator[Maps]:
    """Yield some of the maps, a few at a time."""
    return (maps.take(rows[i : i + BATCH]) for i in range(0, len(rows), BATCH))
