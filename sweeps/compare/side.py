"""One of what is compared: a sweep by its best trial, or one of its trials."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from fsamc.config.dotted import flatten
from fsamc.data.credentials import hide_secrets
from fsamc.errors import BadInput
from sweeps.plan.configurations import configuration
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
        folds: the scored ones, as `SweepReader.finished`; of a named trial, its own.
        trial: the one that is compared: the one that was named, or that with the highest average; none where the
            trials share no category.
        named: whether the trial was named.
        configuration: the trial's, by dotted key; empty where there is none.
    """

    name: str
    plan: dict[str, Any]
    data: dict[str, str]
    stopping: Stopping
    folds: pd.DataFrame
    trial: int | None
    named: bool
    configuration: dict[str, Any]

    @property
    def trial_folds(self) -> pd.DataFrame:
        """Those of the trial."""
        return self.folds[self.folds["trial"] == self.trial]

    @property
    def trial_scores(self) -> Scores:
        """Accuracies of the trial, by fold."""
        columns = (self.trial_folds[name].tolist() for name in (*tables.FOLD, "accuracy"))
        return {
            (category, seed, draw, shots): score for category, seed, draw, shots, score in zip(*columns, strict=True)
        }

    @property
    def cells(self) -> set[tuple[int, str]]:
        """Where the trial was scored: numbers of shots and categories."""
        return set(self.trial_folds[["shots", "category"]].itertuples(index=False, name=None))


def read_sides(outs: Sequence[Path]) -> list[Side]:
    """Read what is compared: each is a sweep's folder, or OUT@TRIAL. A folder whose own name ends so is a folder.

    Raises BadInput if one holds no sweep, has no such trial or no finished fold, comes twice, or is no folder.
    """
    parts = [_parted(path) for path in outs]
    if len({(out.resolve(), trial) for out, trial in parts}) < max(2, len(outs)):
        raise BadInput(
            f"{', '.join(map(str, outs))}: give two or more different sweeps or trials, each as the results' folder "
            "of a sweep or as OUT@TRIAL"
        )
    places = {out.resolve() for out, _ in parts}
    times = Counter(place.name for place in places)
    return [
        _read(out, trial, out.resolve().name if times[out.resolve().name] == 1 else str(out)) for out, trial in parts
    ]


def _parted(path: Path) -> tuple[Path, int | None]:
    """Part OUT@TRIAL. Raises BadInput for the address of a storage."""
    text = str(path)
    if address := re.match(r"([A-Za-z][A-Za-z0-9+]+):/+", text):  # a drive of Windows is one letter
        shown = hide_secrets(f"{address[1]}://{text[address.end() :]}")
        raise BadInput(f"{shown}: a study does not say what folds its trials share; give its sweeps' OUT folders")
    named = None if path.is_dir() else re.fullmatch(r"(.+)@(\d+)", text)
    return (Path(named[1]), int(named[2])) if named else (path, None)


def _read(out: Path, trial: int | None, name: str) -> Side:
    saved = SweepReader(out)
    plan, folds, named = saved.plan, saved.finished, trial is not None
    records = {record.number: record for record in saved.trials}
    if named:
        if trial not in records:
            raise BadInput(f"{out}@{trial}: {out} has trials {min(records)} to {max(records)}; give one of these")
        folds = folds[folds["trial"] == trial]
    if folds.empty:
        what = f"trial {trial} has no finished fold" if named else "no finished fold"
        raise BadInput(f"{out / 'folds.csv'}: {what} to compare; resume the sweep, then try again")
    chosen = trial if named else tables.best_trial(saved.folds)
    values = None if chosen is None else records[chosen].values
    return Side(
        name=f"{name}@{trial}" if named else name,
        plan=flatten(yaml.safe_load(to_yaml(plan))),
        stopping=plan.search.stopping,
        data=dict(saved.identity.data) if saved.identity else {},
        folds=folds,
        trial=chosen,
        named=named,
        configuration={} if values is None else flatten(configuration(plan, values).model_dump(mode="json")),
    )
