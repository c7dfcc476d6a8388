"""Anomaly scores of turned good images: whether a category has an orientation, which turning would break."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np

from fsamc.artifacts.category_bank import OfBank
from fsamc.representation.views import IDENTITY, VIEWS
from fsamc.store.digests import digest
from fsamc.store.store import Arrays, Store

TURNED = tuple(view for view in VIEWS["all"] if view != IDENTITY)


@dataclass(frozen=True, kw_only=True)
class TurnedGood(OfBank):
    """Anomaly scores of some good images in each view but the identity: `scores` float32 [7, n].

    The bank has learnt from the same images, but not from their turned ones.

    Attributes:
        most: how many of the good images there are at the most, evenly spaced among all of them.
    """

    kind: ClassVar[str] = "turnedgood"
    most: int

    @cached_property
    def key(self) -> str:
        """Hash of the bank, of what its answers depend on and of the rows."""
        return digest(self.kind, 1, self.bank.key, self.bank.reference.answer_settings, self.rows)

    @property
    def rows(self) -> list[int]:
        """Which of the good images."""
        everyone = self.bank.good.n_pictures
        count = min(self.most, everyone)
        return [place * everyone // count for place in range(count)]

    @property
    def about(self) -> str:
        """The bank's category and seed, and how many images."""
        return f"{self.bank.about}, {len(self.rows)} good images"

    @property
    def nbytes(self) -> int:
        """Four for each image in each view."""
        return 4 * len(TURNED) * len(self.rows)

    def arrays(self, store: Store) -> Arrays:
        """Extract and judge the turned images view by view, some at a time."""
        from fsamc.detectors.bank import anomaly_score
        from fsamc.features.extraction import square_features

        settings, detector = self.bank.good.features, self.bank.load(store)
        squares = [self.bank.good.square(row) for row in self.rows]
        scores = np.empty((len(TURNED), len(squares)), np.float32)
        for of_view, view in zip(scores, TURNED, strict=True):
            for first in range(0, len(squares), settings.batch):
                turned = np.stack([view.of(square) for square in squares[first : first + settings.batch]])
                features = square_features(turned, settings, self.compute.device)
                of_view[first : first + settings.batch] = anomaly_score(detector.compare(features)[0])
        return {"scores": scores}
