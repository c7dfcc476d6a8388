"""Detection first: which images are called defective, before any is classified (paper, figure 1).

An image's score is that of its most anomalous patch. The threshold is chosen on good images alone: some are held out,
and judged by a detector that has learnt from the others, since images that it has learnt from look too normal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fsamc.config.detection import Detection
from fsamc.data.category import Category
from fsamc.detectors.bank import anomaly_score
from fsamc.fold.inputs import DetectionInputs
from fsamc.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Detected:
    """Anomaly scores and where the line is drawn; the default is no detection.

    Attributes:
        threshold: an image is called defective if its score is above.
        anomaly: scores of the images that were asked for.
        good_images, good_anomaly: the images of test/good and their scores.
    """

    threshold: float | None = None
    anomaly: tuple[float, ...] = ()
    good_images: tuple[str, ...] = ()
    good_anomaly: tuple[float, ...] = ()


def detect(
    category: Category, inputs: DetectionInputs, asked: Sequence[str], settings: Detection, store: Store
) -> Detected:
    """Scores of the defect images `asked` for and of test/good, by the detector that has learnt from all good images.

    The threshold is from fewer good images, and so a little too high rather than too low.
    """
    rows = {path: row for row, path in enumerate(category.defects)}
    scores = anomaly_score(store.get(inputs.test)["distances"])
    good = anomaly_score(store.get(inputs.good)["distances"]) if inputs.good is not None else np.empty(0)
    return Detected(
        threshold=threshold(store.get(inputs.held_out)["scores"], settings.false_alarms),
        anomaly=tuple(scores[[rows[path] for path in asked]].tolist()),
        good_images=category.good,
        good_anomaly=tuple(good.tolist()),
    )


def threshold(scores: np.ndarray, false_alarms: float) -> float:
    """The smallest of good images' scores [H] with at most a share `false_alarms` of them above.

    The (1 - false_alarms) quantile as the inverse of the empirical distribution: one of the scores, no mean of two.
    """
    return float(np.quantile(scores, 1 - false_alarms, method="inverted_cdf"))
