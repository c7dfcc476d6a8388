"""What one fold gives back: predictions, the lists behind them, and where the time went."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from fsamc.metrics import balanced_accuracy


@dataclass(frozen=True, kw_only=True)
class FoldResult:
    """One configuration scored on one (category, seed, draw).

    Attributes:
        key: content address of the fold (configuration, images, seed, draw).
        classes: defect classes in label order.
        support: relative image paths per class, as used.
        images, truth, predicted: one entry per query; labels index `classes`.
        scores: per query one score per class, the higher the likelier; comparable within a query only.
        left_out: images that are no query because they share a group with the support.
        rounds: pretraining rounds run (0 without pretraining).
        learning: training accuracy per pretraining round.
        stages: seconds per stage of this fold's own work.
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
    left_out: int
    rounds: int
    learning: tuple[float, ...]
    stages: dict[str, float]

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
        return balanced_accuracy(self.truth, self.predicted, len(self.classes))

    @property
    def seconds(self) -> float:
        """Seconds of this fold's own work: builds of shared artifacts are not in it."""
        return sum(self.stages.values())

    def to_json(self) -> str:
        """As text that `from_json` reads back to an equal result."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> FoldResult:
        """The result that `to_json` wrote. Raises ValueError or TypeError for anything else."""
        raw: dict[str, Any] = json.loads(text)
        for name in ("classes", "images", "truth", "predicted", "learning"):
            raw[name] = tuple(raw[name])
        raw["support"] = {name: tuple(paths) for name, paths in raw["support"].items()}
        raw["scores"] = tuple(tuple(row) for row in raw["scores"])
        return cls(**raw)
