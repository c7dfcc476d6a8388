"""Images of one fold as its head sees them, by path, and its pseudo-defects: what it learns from and names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Literal

import numpy as np

from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.artifacts.source_rows import SourceRows
from fsamc.data.category import PathsByClass
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.stopwatch import Stopwatch
from fsamc.representation.region import profiles
from fsamc.representation.represented import MapSet, PartsOf, Represented, RepresentedSet, VectorSet
from fsamc.representation.units import scaling_of
from fsamc.representation.views import VIEWS
from fsamc.store.store import Arrays, Store

NUMBERS = 1 << 23  # of the images that are classified at once; a memory bound, each image's answer is its own


class FoldImages:
    """A fold's images by path, and its pseudo-defects, as the head sees them."""

    def __init__(self, inputs: FoldInputs, store: Store, watch: Stopwatch) -> None:
        self.inputs, self.config = inputs, inputs.config
        self.store, self.watch = store, watch
        self._rows = {path: row for row, path in enumerate(inputs.category.defects)}
        with watch.stage("inputs"):
            self._normal: Arrays = store.get(inputs.statistics) if inputs.statistics else {}
            settings, device = self.config.representation, self.config.compute.device
            scaling = scaling_of(
                settings,
                covariance=self._normal.get("covariance"),
                deviation=lambda: inputs.bank.load(store).scale,
                device=device,
            )
            self._parts = PartsOf(settings.parts, self._normal.get("mean"), scaling, device)
            self._all = self._represented(inputs.nearest(inputs.defects))

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, D and R of an image, in the views of the support."""
        return self._in_views(self._all, "support").shape

    @property
    def device(self) -> str:
        """Where its batches are."""
        return self._all.device

    @property
    def queries(self) -> RepresentedSet:
        """All of the category's defect images, in its order, in the views of queries."""
        return self._in_views(self._all, "queries")

    def rows(self, paths: Iterable[str]) -> list[int]:
        """Return where these images are in `queries`."""
        return [self._rows[path] for path in paths]

    def support(self, paths: Iterable[str]) -> Represented:
        """Return these images in the views of the support."""
        return self._in_views(self._all, "support").take(self.rows(paths))

    def batches(self, paths: Sequence[str]) -> Iterator[Represented]:
        """Yield these images in the views of queries, some at a time."""
        return in_batches(self.queries, self.rows(paths))

    def means(self, support: PathsByClass) -> Represented | None:
        """Return per class its support's pixelwise average, where the configuration asks for them.

        None also where a class's support is one image, which is its own average.
        """
        averages = self.inputs.averages
        if averages is None or min(map(len, support.values())) < 2:
            return None
        rows = {paths: row for row, paths in enumerate(averages.pictures)}
        return self._averages.take([rows[tuple(paths)] for paths in support.values()])

    @cached_property
    def _averages(self) -> RepresentedSet:
        """The pixelwise averages of all supports of the fold, represented once."""
        assert self.inputs.averages is not None
        return self._in_views(self._represented(self.inputs.nearest(self.inputs.averages)), "support")

    @property
    def pseudo_labels(self) -> np.ndarray:
        """The pseudo-class of every pseudo-defect, int64 [n]."""
        return np.asarray(self.store.get(self._pseudo)["labels"])

    def pseudo_to_learn(self) -> RepresentedSet:
        """Return pseudo-defects as `pseudo.residual` says: minus the bank's rows, or minus each one's good image."""
        return self._represented(self.inputs.pseudo_rows())

    def pseudo_as_queries(self) -> RepresentedSet:
        """Return pseudo-defects treated as any image that is to be named: minus the bank's rows."""
        return self._represented(self.inputs.nearest(self._pseudo))

    @property
    def _pseudo(self) -> PseudoSet:
        assert self.inputs.pseudo is not None
        return self.inputs.pseudo

    def _represented(self, rows: NearestRows | SourceRows) -> RepresentedSet:
        if self.config.head.sees == "maps":
            features, normal = self.store.get(rows.queries)["features"], rows.normal(self.store)
            return MapSet(features, normal, self.store.get(rows)["indices"], self._parts)
        views = [self.store.get(vectors) for vectors in self.inputs.vectors(rows)]
        patches, normal = (np.stack([view[name] for view in views], axis=1) for name in ("patches", "normal"))
        extent = self.config.representation.extent
        extents = profiles(views[0]["ranked"], self._normal.get("covariance"), extent)
        return VectorSet(patches, normal, extents, self._parts)

    def _in_views(self, images: RepresentedSet, of: Literal["support", "queries"]) -> RepresentedSet:
        if not isinstance(images, VectorSet):
            return images
        return images.in_views([self.inputs.views.index(view) for view in VIEWS[getattr(self.config.views, of)]])


def in_batches(images: RepresentedSet, rows: Sequence[int] | np.ndarray) -> Iterator[Represented]:
    """Yield some of the images, a few at a time."""
    each, dim, _ = images.shape
    batch = max(8, NUMBERS // (each * dim))
    return (images.take(rows[i : i + batch]) for i in range(0, len(rows), batch))
