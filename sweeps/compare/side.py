"""One of the sweeps that are compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fsamc.config.dotted import flatten
from fsamc.errors import BadInput
from sweeps.plan.load import to_yaml
from sweeps.plan.search_settings import Stopping
from sweeps.results import tables
from sweeps.results.reader import SweepReader
from sweeps.statistics.fold_weights import Scores


@dataclass(frozen=True, kw_only=True)
class Side:
    """What a sweep's OUT says.

    Attributes:
        name: how the tables call it.
        plan: by dotted key.
        stopping: the plan's `search.stopping`.
        data: hashes of the data that it ran on, by what they are of; empty where that was not noted.
        folds: the scored ones, as `SweepReader.finished`.
        best: the trial with the highest average; none where the trials share no category.
    """

    name: str
    plan: dict[str, Any]
    data: dict[str, str]
    stopping: Stopping
    folds: pd.DataFrame
    best: int | None

    @property
    def best_folds(self) -> pd.DataFrame:
        """Those of the best trial."""
        return self.folds[self.folds["trial"] == self.best]

    @property
    def best_scores(self) -> Scores:
        """Accuracies of the best trial, by fold."""
        columns = (self.best_folds[name].tolist() for name in (*tables.FOLD, "accuracy"))
        return {
            (category, seed, draw, shots): score for category, seed, draw, shots, score in zip(*columns, strict=True)
        }

    @property
    def cells(self) -> set[tuple[int, str]]:
        """Where the best trial was scored: numbers of shots and categories."""
        return set(self.best_folds[["shots", "category"]].itertuples(index=False, name=None))


def read_sides(outs: Sequence[Path]) -> list[Side]:
    """Read the sweeps in `outs`. Raises BadInput if one holds none, or no finished fold, or comes twice."""
    if len({out.resolve() for out in outs}) < max(2, len(outs)):
        raise BadInput(f"{', '.join(map(str, outs))}: give the results' folders of two or more different sweeps")
    times = Counter(out.resolve().name for out in outs)
    return [_read(out, out.resolve().name if times[out.resolve().name] == 1 else str(out)) for out in outs]


def _read(out: Path, name: str) -> Side:
    saved = SweepReader(out)
    plan, folds = saved.plan, saved.finished
    if folds.empty:
        raise BadInput(f"{out / 'folds.csv'}: no finished fold to compare; resume the sweep, then try again")
    return Side(
        name=name,
        plan=flatten(yaml.safe_load(to_yaml(plan))),
        stopping=plan.search.stopping,
        data=dict(saved.identity.data) if saved.identity else {},
        folds=folds,
        best=tables.best_trial(saved.folds),
    )
