"""Confusion matrices: which class is taken for which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from fsamc.counting import counted
from fsamc.fold.metrics import confusion_matrix
from sweeps.report.document.report_blocks import Cell, Table
from sweeps.report.evidence import Evidence
from sweeps.results.tables import DASH


@dataclass(frozen=True)
class Confusion:
    """Counts int64 [C, C] of one category's queries, summed over seeds and draws: row true, column predicted.

    Attributes:
        category: its name.
        shots: at how many.
    """

    category: str
    shots: int
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


def confusion_matrices(evidence: Evidence) -> list[Confusion]:
    """Make the best trial's confusion matrix per category and number of shots; none if there are no predictions."""
    matrices = []
    for at, rows in evidence.predictions.groupby(["category", "shots"]):
        category, shots = cast("tuple[str, int]", at)
        classes = sorted({*rows["truth"], *rows["predicted"]})
        label = {name: index for index, name in enumerate(classes)}
        counts = confusion_matrix(list(rows["truth"].map(label)), list(rows["predicted"].map(label)), len(classes))
        matrices.append(Confusion(category, shots, classes, counts))
    return matrices


def confusion_tables(matrices: list[Confusion]) -> list[Table]:
    """Lay the matrices out, titled by their shots too where these differ."""
    several = len({one.shots for one in matrices}) > 1
    return [_table(one, one.category + (f", {counted(one.shots, 'shot')}" if several else "")) for one in matrices]


def _table(confusion: Confusion, title: str) -> Table:
    """Lay a matrix out: counts, coloured by their share of the true class, and the recall of each class in percent."""
    rows: list[list[Cell | str]] = []
    for place, name in enumerate(confusion.classes):
        pairs = zip(confusion.counts[place], confusion.shares[place], strict=True)
        cells = [Cell(str(count), column == place, float(share)) for column, (count, share) in enumerate(pairs)]
        recall = confusion.recalls[place]
        rows.append([name, *cells, DASH if np.isnan(recall) else f"{100 * recall:.0f}"])
    return Table.of(["true \\ predicted", *confusion.classes, "recall, %"], rows, title=title)
