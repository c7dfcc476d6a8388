"""Images of one fold as its head sees them, by path, and its pseudo-defects: what it learns from and names."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import numpy as np

from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.artifacts.source_rows import SourceRows
from fsamc.artifacts.turned_good import TURNED
from fsamc.config.representation import ViewSet
from fsamc.data.category import PathsByClass
from fsamc.detectors.bank import anomaly_score
from fsamc.fold.chosen_views import ChosenViews, choose_views
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.stopwatch import Stopwatch
from fsamc.heads.head_kinds import PrototypeSettings
from fsamc.heads.sphere import on_sphere
from fsamc.representation.region import profiles
from fsamc.representation.represented import MapSet, PartsOf, Represented, RepresentedSet, VectorSet
from fsamc.representation.units import scaling_of
from fsamc.representation.views import VIEWS
from fsamc.store.store import Arrays, Store

NUMBERS = 1 << 23  # of the images that are classified at once; a memory bound, each image's answer is its own


class FoldImages:
    """A fold's images by path, and its pseudo-defects, as the head sees them.

    Attributes:
        views: of support and queries; all of them as long as they are still to be chosen.
    """

    def __init__(self, inputs: FoldInputs, store: Store, watch: Stopwatch) -> None:
        self.inputs, self.config = inputs, inputs.config
        self.store, self.watch = store, watch
        self.views = ChosenViews(*self.config.views.with_auto("all"))
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

    def seen_with(self, support: PathsByClass) -> FoldImages:
        """Return the same images in the views that are chosen for this support, where the configuration asks for it."""
        if self.inputs.turned_good is None:
            return self
        with self.watch.stage("choose views"):
            seen = copy.copy(self)
            seen.views = self._chosen([self.rows(paths) for paths in support.values()])
            return seen

    def _chosen(self, rows: Sequence[Sequence[int]]) -> ChosenViews:
        """Choose the views for a support, by class."""
        assert self.inputs.turned_good is not None
        head = self.config.head
        centre = head.centre if isinstance(head, PrototypeSettings) else PrototypeSettings().centre
        distances = self.store.get(self.inputs.nearest(self.inputs.defects))["distances"]
        turned = self.store.get(self.inputs.turned_good)["scores"]
        return choose_views(
            self.config.views,
            lambda views: [on_sphere(self._in_views(self._all, views).take(of_class)) for of_class in rows],
            turned=dict(zip(TURNED, turned, strict=True)),
            defects=anomaly_score(distances[[row for of_class in rows for row in of_class]]),
            centre=centre,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """N, D and R of an image, in the views of the support."""
        return self._in_views(self._all, self.views.support).shape

    @property
    def device(self) -> str:
        """Where its batches are."""
        return self._all.device

    @property
    def queries(self) -> RepresentedSet:
        """All of the category's defect images, in its order, in the views of queries."""
        return self._in_views(self._all, self.views.queries)

    def rows(self, paths: Iterable[str]) -> list[int]:
        """Return where these images are in `queries`."""
        return [self._rows[path] for path in paths]

    def support(self, paths: Iterable[str]) -> Represented:
        """Return these images in the views of the support."""
        return self._in_views(self._all, self.views.support).take(self.rows(paths))

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
        images = self._in_views(self._averages, self.views.support)
        return images.take([rows[tuple(paths)] for paths in support.values()])

    @cached_property
    def _averages(self) -> RepresentedSet:
        """The pixelwise averages of all supports of the fold, represented once."""
        assert self.inputs.averages is not None
        return self._represented(self.inputs.nearest(self.inputs.averages))

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

    def _in_views(self, images: RepresentedSet, views: ViewSet) -> RepresentedSet:
        if not isinstance(images, VectorSet):
            return images
        return images.part([self.inputs.views.index(view) for view in VIEWS[views]])


def in_batches(images: RepresentedSet, rows: Sequence[int] | np.ndarray) -> Iterator[Represented]:
    """Yield some of the images, a few at a time."""
    each, dim, _ = images.shape
    batch = max(8, NUMBERS // (each * dim))
    return (images.take(rows[i : i + batch]) for i in range(0, len(rows), batch))
