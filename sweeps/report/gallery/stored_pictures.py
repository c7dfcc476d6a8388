"""Pictures of a category's answers, from the images and the cache as the sweep left them: nothing is computed anew."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from fsamc.config.dotted import updated
from fsamc.data.category import Category, load_category
from fsamc.data.images import read_image
from fsamc.data.remote import Source, mirrored
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs
from fsamc.overlays.heat_map import HeatScale, heat_map, overlay
from fsamc.store.store import Store
from sweeps.plan.settings import Plan
from sweeps.results.saved_settings import SavedSettings


def images_folder(saved: SavedSettings) -> Path | None:
    """Return the folder that the sweep's images are read from, of an address its newest mirror; None if not known."""
    data: Source | None = saved.data
    if data is None or isinstance(data, Path):
        return data
    return mirrored(data, saved.cache) if saved.cache else None


def as_it_ran(config: FoldConfig, plan: Plan) -> FoldConfig:
    """Fill in what a fold takes from the resources of its plan, on which the keys of artifacts hang."""
    device = "cuda" if plan.resources.gpus else "cpu"
    return updated(config, {"compute.device": device, "compute.threads": plan.resources.cpus})


class StoredPictures:
    """Pictures of one category.

    Args:
        name: the category's.
        folder: of the images of all categories; None if not known.
        cache: of the artifacts; None if not known.
        config: of the trial whose answers are shown, as it ran.
        seeds: whose banks the heat maps come from.
        side: longest side of what is returned, pixels.

    Attributes:
        missing: what cannot be shown and why, a sentence each.
        scale: one for all heat maps of the category; None where there are none.
    """

    def __init__(
        self, name: str, folder: Path | None, cache: Path | None, config: FoldConfig, seeds: Iterable[int], side: int
    ) -> None:
        self.name, self.folder, self.cache, self.config, self.side = name, folder, cache, config, side
        self.missing: list[str] = []
        self._category = self._load()
        self._distances = {seed: stored for seed in sorted(seeds) if (stored := self._stored(seed)) is not None}
        every = list(self._distances.values())
        self.scale = HeatScale.of(np.concatenate(every)) if every else None

    def picture(self, path: str, *, share: float = 1.0) -> np.ndarray | None:
        """Return a picture uint8 [h, w, 3], no side longer than that share of `side`; None if it cannot be read."""
        if self.folder is None or not self.folder.is_dir():
            return None
        try:
            image = Image.fromarray(read_image(self.folder / self.name / path))
        except BadInput as error:
            self._miss(str(error))
            return None
        image.thumbnail((share * self.side, share * self.side))
        return np.asarray(image)

    def overlaid(self, path: str, picture: np.ndarray, seed: int) -> np.ndarray | None:
        """Lay the distances from the bank of `seed` over the picture of `path`; None where they are not stored."""
        if self._category is None or self.scale is None or seed not in self._distances:
            return None
        distances = self._distances[seed][self._category.defects.index(path)]
        height, width, _ = picture.shape
        return overlay(picture, heat_map(distances, (height, width), self.config.features), self.scale)

    def _load(self) -> Category | None:
        """Load the category with its digests, on which the keys of artifacts hang; None if it is not there whole."""
        if self.folder is None or not self.folder.is_dir():
            where = f"no folder {self.folder}" if self.folder else "the sweep does not say where its images are"
            self._miss(f"No pictures: {where}; give fsamc report --data")
            return None
        try:
            return load_category(self.folder, self.name).with_classes(good=self.config.good)
        except BadInput as error:
            self._miss(f"No heat maps of {self.name}: {error}")
            return None

    def _stored(self, seed: int) -> np.ndarray | None:
        """Find how far all patches of all defect images are from a bank, float32 [n, P]."""
        if self._category is None:
            return None
        inputs = FoldInputs(self._category, self.config, seed=seed)
        if inputs.sees_images:
            self._miss(f"No heat maps: head {self.config.head.kind} sees whole images, and no distances are computed")
            return None
        try:
            rows = inputs.nearest(inputs.defects)
            stored = Store(self.cache).find(rows.kind, rows.key) if self.cache else None
        except BadInput as error:
            self._miss(f"No heat maps of {self.name}: {error}")
            return None
        if stored is None:
            held = f"{self.cache or 'the cache'} does not hold its distances"
            self._miss(f"No heat maps of {self.name}, seed {seed}: {held}, or images or backbone are others by now")
            return None
        distances: np.ndarray = np.load(stored / "distances.npy", mmap_mode="r")
        return distances

    def _miss(self, sentence: str) -> None:
        if sentence not in self.missing:
            self.missing.append(sentence)
