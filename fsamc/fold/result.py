"""Result of one fold: predictions, the lists behind them, and where the time went."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from fsamc.fold import metrics


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One configuration scored on one (category, seed, draw).

    Attributes:
        key: content address of the fold (configuration, images, seed, draw).
        classes: defect classes in label order.
        support: relative image paths per class, as used.
        images, truth, predicted: one entry per query; labels index `classes`.
        scores: per query one score per class, the higher the likelier; comparable within a query only.
        excluded: how many images are no query because they share a group with the support.
        rounds: pretraining rounds run (0 without pretraining).
        learning: training accuracy per pretraining round.
        finetuning: share of the support's queries named rightly per epoch of fine-tuning, each before its step.
        stages: seconds per stage of this fold's own work.
        threshold: an image is called defective if its anomaly score is above; None without detection.
        anomaly: anomaly score per query.
        good_images, good_anomaly: the images of test/good, and their anomaly scores.
        scored_by: what the accuracy is over: the queries, or the support images, each left out in turn.
        views: the views of `support` and `queries` that `auto` chose, and why (`because`); empty where none are chosen.
        measured: further scores of the fold in [0, 1], by name: `support`, `pseudo` (`fsamc.fold.objectives`).
    """

    key: str
    category: str
    seed: int
    draw: int
    shots: int
    head: str
    classes: tuple[str, ...]
    support: dict[str, tuple[str, ...]]
    images: tuple[str, ...]
    truth: tuple[int, ...]
    predicted: tuple[int, ...]
    scores: tuple[tuple[float, ...], ...]
    excluded: int
    rounds: int
    learning: tuple[float, ...]
    stages: dict[str, float]
    threshold: float | None = None
    anomaly: tuple[float, ...] = ()
    good_images: tuple[str, ...] = ()
    good_anomaly: tuple[float, ...] = ()
    finetuning: tuple[float, ...] = ()
    scored_by: str = "queries"
    measured: dict[str, float] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)

    @property
    def queries(self) -> int:
        """How many images were classified."""
        return len(self.truth)

    @property
    def correct(self) -> int:
        """How many of them rightly."""
        return sum(t == p for t, p in zip(self.truth, self.predicted, strict=True))

    @property
    def accuracy(self) -> float:
        """Share of right answers, in [0, 1] (paper 4.1.2)."""
        return self.correct / self.queries

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the classes' recalls, in [0, 1]."""
        return metrics.balanced_accuracy(self.truth, self.predicted, len(self.classes))

    @property
    def macro_f1(self) -> float:
        """Mean of the classes' F1 scores, in [0, 1]."""
        return metrics.macro_f1(self.truth, self.predicted, len(self.classes))

    @property
    def recalls(self) -> dict[str, float]:
        """Share of each class's queries that were named rightly, in [0, 1]; NaN for a class without queries."""
        recalls = metrics.recalls(self.truth, self.predicted, len(self.classes))
        return dict(zip(self.classes, recalls.tolist(), strict=True))

    @property
    def confusion(self) -> list[list[int]]:
        """Counts [C, C] of the queries: row = true class, column = predicted class."""
        counts: list[list[int]] = metrics.confusion_matrix(self.truth, self.predicted, len(self.classes)).tolist()
        return counts

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """The accuracy's 95 % interval over queries (Wilson)."""
        return metrics.wilson_interval(self.correct, self.queries)

    @property
    def detected(self) -> tuple[bool, ...]:
        """Which queries are called defective; empty without detection, as all of the next four are None."""
        return () if self.threshold is None else tuple(score > self.threshold for score in self.anomaly)

    @property
    def detection_recall(self) -> float | None:
        """Share of the queries that are called defective."""
        return None if self.threshold is None else sum(self.detected) / self.queries

    @property
    def false_alarm_rate(self) -> float | None:
        """Share of test/good that is called defective; None where there is none."""
        return None if self._passed is None or not self.good_images else 1 - self._passed / len(self.good_images)

    @property
    def workflow_accuracy(self) -> float | None:
        """Share of right answers over the queries and test/good, detection first (paper, figure 1).

        A good image is right if it passes, a defect if it is detected and its class is right. Where there is no
        test/good this is over the queries alone, and never above the accuracy.
        """
        if self._passed is None:
            return None
        pairs = zip(self.truth, self.predicted, self.detected, strict=True)
        named = sum(detected and truth == predicted for truth, predicted, detected in pairs)
        return (named + self._passed) / (self.queries + len(self.good_images))

    @property
    def auroc(self) -> float | None:
        """Area under the ROC curve of the anomaly scores of queries against test/good; None where there is none."""
        if self.threshold is None or not self.good_images:
            return None
        from sklearn.metrics import roc_auc_score  # takes a second to load

        defective = [1] * self.queries + [0] * len(self.good_images)
        return float(roc_auc_score(defective, [*self.anomaly, *self.good_anomaly]))

    @property
    def _passed(self) -> int | None:
        """How many images of test/good are not called defective."""
        return None if self.threshold is None else sum(score <= self.threshold for score in self.good_anomaly)

    @property
    def seconds(self) -> float:
        """Seconds of this fold's own work: builds of shared artifacts are not in it."""
        return sum(self.stages.values())

    def to_json(self) -> str:
        """Return text that `from_json` reads back to an equal result."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> FoldResult:
        """Return the result that `to_json` wrote. Raises ValueError or TypeError for anything else."""
        raw: dict[str, Any] = json.loads(text)
        if "left_out" in raw:  # its name in older results
            raw["excluded"] = raw.pop("left_out")
        for name, value in raw.items():
            raw[name] = tuple(value) if isinstance(value, list) else value
        raw["support"] = {name: tuple(paths) for name, paths in raw["support"].items()}
        raw["scores"] = tuple(tuple(row) for row in raw["scores"])
        return cls(**raw)
