"""Prediction: the answer for one picture, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from fsamc.config.features import Features
from fsamc.overlays.heat_map import heat_map

GOOD, UNKNOWN = "good", "unknown"  # answers that are no defect class


@dataclass(frozen=True)
class Region:
    """A connected part of a picture that is anomalous.

    Attributes:
        box: left, top, right, bottom in pixels of the picture; right and bottom lie just outside.
        anomaly: the largest distance from normal in it.
        scores: by defect class, as if nothing else in the picture were anomalous.
        known: whether it looks like one of the classes.
    """

    box: tuple[int, int, int, int]
    anomaly: float
    scores: Mapping[str, float]
    known: bool

    @property
    def label(self) -> str:
        """The likeliest class."""
        return max(self.scores, key=self.scores.__getitem__)


@dataclass(frozen=True)
class Unread:
    """A picture that cannot be read, and why."""

    name: str
    problem: str


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """One picture's answer.

    Attributes:
        name: the path, or the number of an array.
        label: the likeliest defect class, whatever the next ones say.
        labels: the classes that cannot be ruled out at the error rate `alpha`; none of a type that nobody has shown.
        scores: of each class, the higher the likelier; comparable within a picture.
        probabilities: of each class, were the picture of one of them; they sum to one.
        calibrated: whether there are photos enough for `labels` and `known` to hold at the stated rate.
        known: whether it looks like one of the classes.
        defective: whether its anomaly is above the threshold; None where too few good images were there to set one.
        anomaly: the largest distance of a patch from normal.
        nearest: the support image of `label` that is most like it.
        likeness: cosine between the two, as the head sees them.
        regions: where it is anomalous, the worst first, each with scores of its own.
        distances: float32 [P], of each patch from normal.
        size: height and width of the picture, pixels.
        features: how it was made square.
    """

    name: str
    label: str
    labels: tuple[str, ...]
    scores: Mapping[str, float]
    probabilities: Mapping[str, float]
    calibrated: bool
    known: bool
    defective: bool | None
    anomaly: float
    nearest: str
    likeness: float
    regions: tuple[Region, ...] = ()
    distances: np.ndarray = field(repr=False)
    size: tuple[int, int]
    features: Features = field(repr=False)

    @property
    def answer(self) -> str:
        """`label`, or in its place `good` where there is no defect, `unknown` where there is one of another class."""
        if self.defective is False:
            return GOOD
        return self.label if self.known else UNKNOWN

    @property
    def probability(self) -> float:
        """That of `label`, in [0, 1]."""
        return self.probabilities[self.label]

    @property
    def defects(self) -> tuple[str, ...]:
        """The classes of its known regions, the worst first; of a picture without regions `label`, if known."""
        if not self.regions:
            return (self.label,) if self.known else ()
        return tuple(dict.fromkeys(region.label for region in self.regions if region.known))

    @property
    def heatmap(self) -> np.ndarray:
        """Distance from normal at each pixel, float32 [H, W]; NaN where the network did not look."""
        return heat_map(self.distances, self.size, self.features)
