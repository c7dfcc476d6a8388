"""Every fold of every trial: where a trial is good, and where the sweep has holes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sweeps.report.evidence import Evidence
from sweeps.results.tables import FOLD, finished

MOST_CELLS = 100_000  # what a browser draws at once, and what the page can hold


@dataclass(frozen=True)
class FoldMatrix:
    """Accuracy float64 [T, F] in [0, 1] of T trials, best first, on F folds; NaN where a fold has no result.

    Attributes:
        trials: their numbers; those without an average last.
        folds: category, seed and draw of every column.
        left_out: how many trials of the sweep are not among them.
    """

    trials: list[int]
    folds: list[tuple[str, int, int]]
    accuracy: np.ndarray
    left_out: int

    @property
    def bounds(self) -> tuple[float, float]:
        """Lowest and highest accuracy in percent, with some room if that is one point."""
        low, high = 100 * np.nanmin(self.accuracy), 100 * np.nanmax(self.accuracy)
        return (low, high) if low < high else (low - 0.5, high + 0.5)


def fold_matrix(evidence: Evidence) -> FoldMatrix:
    """The accuracies of the best trials on every fold, of as many as MOST_CELLS holds."""
    table = finished(evidence.folds).pivot(index="trial", columns=FOLD, values="accuracy")
    ranked = [trial for trial in evidence.board["trial"] if trial in table.index]
    order = [*ranked, *sorted(set(table.index) - set(ranked))]
    shown = order[: max(1, MOST_CELLS // len(table.columns))]
    folds: list[Any] = table.columns.to_list()
    return FoldMatrix(shown, folds, table.loc[shown].to_numpy(float), len(order) - len(shown))
