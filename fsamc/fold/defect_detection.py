"""Detection of defects: which images are called defective, before any is classified (paper, figure 1).

An image's score is that of its most anomalous patch. The threshold is chosen on good images alone: some are held out,
and judged by a detector that has learnt from the others, since images that it has learnt from look too normal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fsamc.artifacts.feature_set import FeatureSet
from fsamc.detectors.bank import anomaly_score
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.stopwatch import Stopwatch
from fsamc.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Detected:
    """Anomaly scores and where the line is drawn; the default is no detection.

    Attributes:
        threshold: an image is called defective if its score is above.
        anomaly: scores of the queries.
        good_images, good_anomaly: the images of test/good and their scores.
    """

    threshold: float | None = None
    anomaly: tuple[float, ...] = ()
    good_images: tuple[str, ...] = ()
    good_anomaly: tuple[float, ...] = ()


def detect(inputs: FoldInputs, paths: Sequence[str], store: Store, watch: Stopwatch) -> Detected:
    """Score the defect images at `paths` and test/good, by the detector that has learnt from all good images.

    The threshold is from fewer good images, and so a little too high rather than too low. Without detection, nothing.
    """
    if not inputs.config.detection.enabled:
        return Detected()

    def scores(pictures: FeatureSet) -> np.ndarray:
        return anomaly_score(store.get(inputs.nearest(pictures))["distances"])

    with watch.stage("detect"):
        rows = {path: row for row, path in enumerate(inputs.category.defects)}
        good = scores(inputs.test_good).tolist() if inputs.test_good else []
        return Detected(
            threshold=threshold(store.get(inputs.good_scores)["scores"], inputs.config.detection.false_alarms),
            anomaly=tuple(scores(inputs.defects)[[rows[path] for path in paths]].tolist()),
            good_images=inputs.category.good,
            good_anomaly=tuple(good),
        )


def threshold(scores: np.ndarray, false_alarms: float) -> float:
    """Return the smallest of good images' scores [H] with at most a share `false_alarms` of them above.

    The (1 - false_alarms) quantile as the inverse of the empirical distribution: one of the scores, no mean of two.
    """
    return float(np.quantile(scores, 1 - false_alarms, method="inverted_cdf"))
