"""Anomaly scores of good images by a detector that has not seen them: what a threshold is chosen on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.category_bank import OfBank
from fsamc.data.category import Category
from fsamc.detectors.good_images import SomeImages
from fsamc.errors import BadInput
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store

IMAGES = 64  # that are judged at once: bounds the memory, a multiple of the detectors' own blocks


@dataclass(frozen=True, kw_only=True)
class GoodScores(OfBank):
    """Anomaly scores of good images that are held out: `scores` float32 [H].

    A detector like the bank's judges them, that has learnt from the other good images alone.

    Attributes:
        bank: the good features, the detector and the seed; the bank itself is not used.
        held_out: which rows of the good features are judged.
    """

    kind: ClassVar[str] = "goodscores"
    held_out: tuple[int, ...]

    @cached_property
    def key(self) -> str:
        """Hash of what the bank depends on, of what its answers depend on and of the rows."""
        return digest(self.kind, 1, self.bank.key, self.bank.reference.answer_settings, self.held_out)

    @property
    def about(self) -> str:
        """The bank's category and seed, and how many images."""
        return f"{self.bank.about}, {len(self.held_out)} good images"

    @property
    def nbytes(self) -> int:
        """Four for each image."""
        return 4 * len(self.held_out)

    def needs(self) -> Sequence[Artifact]:
        """Return the good features."""
        return (self.bank.good,)

    def arrays(self, store: Store) -> Arrays:
        """Learn from the good images that are not held out, and judge those that are."""
        from fsamc.detectors.bank import anomaly_score

        features = store.get(self.bank.good)["features"]
        others = SomeImages(features, np.setdiff1d(np.arange(len(features)), self.held_out))
        parts = [list(self.held_out[first : first + IMAGES]) for first in range(0, len(self.held_out), IMAGES)]
        detector = self.bank.detector(self.bank.learn(others), others)
        return {"scores": np.concatenate([anomaly_score(detector.compare(features[part])[0]) for part in parts])}


def held_out_rows(category: Category, share: float) -> tuple[int, ...]:
    """Return which of the images in train/good the threshold is chosen on: those of evenly spaced groups, at least one.

    Raises:
        BadInput: there are fewer than two groups.
    """
    groups = list(dict.fromkeys(category.group(path) for path in category.train))
    if len(groups) < 2:
        raise BadInput(
            f"{category.folder / 'train' / 'good'}: {len(groups)} group of images; detection needs 2, one to hold out: "
            "add good images or set detection.enabled=false"
        )
    count = min(max(round(share * len(groups)), 1), len(groups) - 1)
    chosen = {groups[place] for place in (2 * np.arange(count) + 1) * len(groups) // (2 * count)}
    return tuple(row for row, path in enumerate(category.train) if category.group(path) in chosen)
