"""Which class is taken for which."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fsamc.fold.metrics import confusion_matrix
from sweeps.report.evidence import Evidence


@dataclass(frozen=True)
class Confusion:
    """Counts int64 [C, C] of one category's queries, summed over seeds and draws: row true, column predicted."""

    category: str
    classes: list[str]
    counts: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Counts divided by their row's sum, float64 [C, C]; a class without queries has zeros."""
        return self.counts / np.maximum(self.counts.sum(axis=1, keepdims=True), 1)

    @property
    def recalls(self) -> np.ndarray:
        """Share of each true class that was named rightly, float64 [C]; NaN for a class without queries."""
        return np.where(self.counts.sum(axis=1) > 0, self.shares.diagonal(), np.nan)


def confusions(evidence: Evidence) -> list[Confusion]:
    """Make the best trial's confusion matrix of every category; none if there are no predictions."""
    found = []
    for category, rows in evidence.predictions.groupby("category"):
        classes = sorted({*rows["truth"], *rows["predicted"]})
        label = {name: index for index, name in enumerate(classes)}
        counts = confusion_matrix(list(rows["truth"].map(label)), list(rows["predicted"].map(label)), len(classes))
        found.append(Confusion(str(category), classes, counts))
    return found
