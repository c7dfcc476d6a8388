"""Answers of a fitted classifier: from pictures to predictions, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy import ndimage
from torch.nn import functional as F

from fsamc.classifier.calibration import Calibration, CalibrationSettings, calibrate
from fsamc.classifier.fitting import Fitted, class_anchors
from fsamc.classifier.pipeline import Seen
from fsamc.classifier.prediction import Prediction, Region
from fsamc.data.images import square_window, to_square
from fsamc.data.preprocessing import Interpolation
from fsamc.detectors.bank import anomaly_score
from fsamc.features.networks.lookup import network_source
from fsamc.representation.represented import Represented
from fsamc.representation.views import grid_of

MOST_REGIONS = 5  # of a picture that are named one by one


@dataclass(frozen=True)
class Squared:
    """A picture at the network's size.

    Attributes:
        pixels: uint8 [S, S, 3].
        size: height and width that it had, pixels.
    """

    pixels: np.ndarray
    size: tuple[int, int]


@dataclass(frozen=True)
class Answering:
    """A fitted classifier that answers."""

    fitted: Fitted

    @cached_property
    def anchors(self) -> Sequence[torch.Tensor]:
        """What stands for each class."""
        if self.fitted.anchors is not None:
            return self.fitted.anchors
        return class_anchors(self.fitted.head, self.fitted.support.by_class(), self._device)

    @cached_property
    def _compare(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """The head's comparison with the classes, fitted once."""
        with torch.no_grad():
            return self.fitted.head.against(self.anchors)

    @cached_property
    def calibration(self) -> Calibration:
        """What the photos say of how far the answers can be trusted."""
        support = [images.reshape(len(images), -1) for images in self.fitted.support.by_class()]
        order = np.argsort(self.fitted.support.labels, kind="stable")
        return calibrate(
            support,
            self.fitted.left_out[order],
            head=self.fitted.head.settings.kind,
            settings=CalibrationSettings(),
            elsewhere=self.fitted.elsewhere,
        )

    def squared(self, pixels: np.ndarray) -> Squared:
        """Bring a picture uint8 [H, W, 3] to the network's size."""
        features = self.fitted.pipeline.config.features
        return Squared(to_square(pixels, features, self._interpolation), (pixels.shape[0], pixels.shape[1]))

    @cached_property
    def _interpolation(self) -> Interpolation:
        return network_source(self.fitted.pipeline.config.features).preprocessing.interpolation

    def encoded(self, pixels: Sequence[np.ndarray], *, views: Literal["support", "queries"]) -> np.ndarray:
        """Return what the head makes of pictures uint8 [H, W, 3], in these views: float32 [n, ...]."""
        support, queries = self.fitted.pipeline.config.views.with_auto("all")
        squares = np.stack([self.squared(picture).pixels for picture in pixels])
        seen = self.fitted.pipeline(squares, support if views == "support" else queries)
        return self._related(seen.represented)[0]

    def predictions(self, pictures: Sequence[tuple[str, Squared]], *, alpha: float) -> list[Prediction]:
        """Answer for pictures, each with its name."""
        squares, sizes = np.stack([one.pixels for _, one in pictures]), [one.size for _, one in pictures]
        seen = self.fitted.pipeline(squares, self.fitted.pipeline.config.views.with_auto("all")[1])
        encoded, scores = self._related(seen.represented)
        answers = self.calibration.answer(encoded.reshape(len(encoded), -1), scores, alpha=alpha)
        regions = self._regions(seen, sizes, alpha)
        classes, threshold = self.fitted.support.classes, self.fitted.threshold
        calibrated, anomalies = self.calibration.calibrated(alpha), anomaly_score(seen.distances).tolist()
        predictions = []
        for row, (name, _) in enumerate(pictures):
            best = int(scores[row].argmax())
            nearest, likeness = self._nearest(encoded[row], best)
            prediction = Prediction(
                name=name,
                label=classes[best],
                labels=tuple(np.array(classes)[answers.sets[row]].tolist()),
                scores=dict(zip(classes, scores[row].tolist(), strict=True)),
                probabilities=dict(zip(classes, answers.probabilities[row].tolist(), strict=True)),
                calibrated=calibrated,
                known=bool(answers.is_known[row]),
                defective=None if threshold is None else anomalies[row] > threshold,
                anomaly=anomalies[row],
                nearest=nearest,
                likeness=likeness,
                regions=tuple(regions[row]),
                distances=seen.distances[row],
                size=sizes[row],
                features=self.fitted.pipeline.config.features,
            )
            predictions.append(prediction)
        return predictions

    @torch.no_grad()
    def _related(self, represented: Represented) -> tuple[np.ndarray, np.ndarray]:
        """Return what the head makes of pictures, float32 [n, ...], and its scores, float32 [n, C]."""
        encoded = self.fitted.head.encode(represented)
        return encoded.cpu().numpy(), self._compare(encoded).cpu().numpy()

    def _nearest(self, encoded: np.ndarray, label: int) -> tuple[str, float]:
        """Return the photo of a class that is most like a picture, and their cosine about the middle of all photos."""
        support = self.fitted.support
        rows = np.flatnonzero(support.labels == label)
        middle = torch.from_numpy(support.encoded.mean(0).ravel())
        photos, picture = (torch.from_numpy(one).flatten(1) - middle for one in (support.encoded[rows], encoded[None]))
        alike = F.cosine_similarity(picture, photos)
        return support.photos[rows[int(alike.argmax())]].name, float(alike.max())

    def _regions(self, seen: Seen, sizes: Sequence[tuple[int, int]], alpha: float) -> list[list[Region]]:
        """Name the spots of each picture of a batch by themselves."""
        regions: list[list[Region]] = [[] for _ in sizes]
        if self.fitted.threshold is None or self.fitted.pipeline.config.head.sees == "maps":
            return regions
        spots = [spot for row in range(len(sizes)) for spot in _spots(seen, row, self.fitted.threshold)]
        if not spots:
            return regions
        encoded, scores = self._related(self.fitted.pipeline.regions(seen, [(one.row, one.area) for one in spots]))
        known = self.calibration.answer(encoded.reshape(len(encoded), -1), scores, alpha=alpha).is_known
        for spot, of_spot, is_known in zip(spots, scores, known, strict=True):
            named = dict(zip(self.fitted.support.classes, of_spot.tolist(), strict=True))
            box = self._box(spot.patches, sizes[spot.row])
            regions[spot.row].append(Region(box, spot.peak, named, bool(is_known)))
        return regions

    def _box(self, patches: np.ndarray, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return the box around patches, bool [g, g], in a picture of (H, W): left, top, right, bottom."""
        top, left, height, width = square_window(size, self.fitted.pipeline.config.features)
        rows, columns = (np.flatnonzero(patches.any(axis)) for axis in (1, 0))
        down, across = height / len(patches), width / len(patches)
        return (
            max(0, round(left + across * columns[0])),
            max(0, round(top + down * rows[0])),
            min(size[1], round(left + across * (columns[-1] + 1))),
            min(size[0], round(top + down * (rows[-1] + 1))),
        )

    @property
    def _device(self) -> str:
        return self.fitted.pipeline.config.compute.device


@dataclass(frozen=True)
class _Spot:
    """Connected patches, bool [g, g], of a picture of a batch that are as anomalous as those of a defective one."""

    row: int
    patches: np.ndarray
    peak: float

    @property
    def area(self) -> np.ndarray:
        """The patches with their neighbours, bool [P]: an edge of a scratch is part of what it looks like."""
        return ndimage.binary_dilation(self.patches, np.ones((3, 3))).ravel()


def _spots(seen: Seen, row: int, threshold: float) -> Iterator[_Spot]:
    """Yield the worst spots of a picture, the worst first."""
    grid = grid_of(seen.distances[row])
    labelled, count = ndimage.label(grid > threshold, structure=np.ones((3, 3)))
    peaks = ndimage.maximum(grid, labelled, range(1, count + 1)) if count else []
    for number in np.argsort(-np.asarray(peaks), kind="stable")[:MOST_REGIONS]:
        yield _Spot(row, labelled == number + 1, float(peaks[number]))
