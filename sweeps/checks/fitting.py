"""Advice on a plan for which every category is too small."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from fsamc.data.category import Category
from sweeps.plan.settings import Folds


def ways_to_fit(folds: Folds, cases: Sequence[tuple[Category, Sequence[str]]]) -> str:
    """Say with which changes of a plan's `folds` some category would give a fold; only what helps is named.

    Args:
        folds: for which there is none.
        cases: categories, with their classes as they are to be, each with the `support.files` of a configuration.
    """

    def fit(shots: int, score: Literal["queries", "support"]) -> bool:
        return any(
            category.problem(shots, draw, files=files, scored_by=score) is None
            for category, files in cases
            for draw in folds.draws
        )

    fewest = min(folds.shots)
    fewer = next((n for n in range(fewest - 1, 0, -1) if fit(n, folds.score)), None)
    ways = [f"set folds.shots=[{fewer}]"] if fewer else []
    if folds.score == "queries" and fit(fewest, "support"):
        ways.append("set folds.score=support, which needs no query")
    return ", or ".join(ways) or "add images, or folders of other defects beside them"
