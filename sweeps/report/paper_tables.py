"""Tables of the paper as printed, and which of their cells a trial answers.

The preset of the same name says what each cell is about. A trial answers a cell if it does the same in what the paper
varies: head, residuals, pretraining and its masks, `good`, shots. All else it may do otherwise; `departures` says what.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any

import pandas as pd

from fsamc.config.dotted import flatten
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import pretrains
from sweeps.plan.configurations import variants
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from sweeps.results.tables import AVERAGE

ABLATION, RESIDUALS = 4, 5  # the tables whose columns are not shots
_TITLES = {
    1: "contrastive head, pretrained, MVTec AD",
    2: "contrastive head, pretrained, MVTec 3D AD",
    3: "contrastive head, not pretrained, MVTec AD",
    ABLATION: "ablation at two shots, MVTec AD",
    RESIDUALS: "contrastive head at two shots, residual or raw features, MVTec AD",
    7: "vanilla head, pretrained, MVTec AD",
    8: "vanilla head, not pretrained, MVTec AD",
    9: "contrastive head, pretrained on polygons, MVTec AD",
    10: "fine-tuned ResNet-50, MVTec AD",
    11: "contrastive head, pretrained, raw features, MVTec AD",
    12: "contrastive head, pretrained, good images as a class, MVTec 3D AD",
    13: "contrastive head, pretrained by MAML, MVTec AD",
}
# Where a fold runs and on which weights, and what may be found anew in each category.
_FREE = ("compute.", "detection.", "pseudo.foreground", "features.backbone", "features.weights", "features.batch")
_OF_VECTORS = ["views.", *(f"representation.{name}" for name in ("patches", "weights", "extent", "region"))]


@dataclass(frozen=True)
class PaperTable:
    """A table of the paper; 6 is none of its own, but table 1 against table 7."""

    number: int

    @property
    def name(self) -> str:
        """The preset's name."""
        return f"table{self.number}"

    @property
    def title(self) -> str:
        """What it is about."""
        return f"Table {self.number}: {_TITLES[self.number]}"

    @property
    def plan(self) -> Plan:
        """The preset."""
        return _plan(self.name)

    @property
    def categories(self) -> tuple[str, ...]:
        """The categories that its averages are over."""
        return tuple(self.plan.folds.categories)

    @cached_property
    def columns(self) -> dict[str, FoldConfig]:
        """Its columns in a fixed order, and the configuration that each is about."""
        configs = (
            config.model_copy(update={"shots": shots})
            for config in variants(self.plan)
            for shots in self.plan.folds.shots
        )
        about = {self.column_of(config): config for config in configs}
        cells = printed_cells()
        return {column: about[column] for column in cells.loc[cells["table"] == self.number, "column"].unique()}

    def column_of(self, config: FoldConfig) -> str:
        """Return the column of a configuration that is in the table."""
        if self.number == ABLATION:
            return _ablation_row(config)
        if self.number == RESIDUALS:
            return "residual" if _is_residual(config) else "raw"
        return str(config.shots)

    def printed(self, column: str) -> pd.DataFrame:
        """Return `mean`, `std` of a column, float64 in [0, 1], NaN for a missing std, by category and `average`."""
        cells = printed_cells()
        cells = cells[(cells["table"] == self.number) & (cells["column"] == column)]
        return cells.set_index("row")[["mean", "std"]]

    def answered_by(self, config: FoldConfig) -> str | None:
        """Return the column that a trial of this configuration answers, if one."""
        return next((column for column, paper in self.columns.items() if facts(paper) == facts(config)), None)

    def departures(self, config: FoldConfig, column: str) -> list[str]:
        """List the other settings in which a trial that answers a column differs from it: `key value (the paper's)`."""
        ours, paper = _settings(config), _settings(self.columns[column])
        keys = [key for key in paper if ours.get(key) != paper[key] and _counts(key, config)]
        return [f"{key} {_shown(ours.get(key))} ({_shown(paper[key])})" for key in keys]


@cache
def paper_tables() -> tuple[PaperTable, ...]:
    """Return all of them."""
    return tuple(PaperTable(number) for number in _TITLES)


def of_their_data(tables: Iterable[PaperTable], categories: Iterable[str]) -> list[PaperTable]:
    """Pick those of `tables` on the data set that some of the categories are of; on MVTec AD if all of them are new."""
    tables, ours = list(tables), set(categories)
    theirs = [table for table in tables if ours & set(table.categories)]
    return theirs or [table for table in tables if not table.title.endswith("3D AD")] or tables


def printed_average(config: FoldConfig, categories: Iterable[str]) -> float:
    """Return the paper's average for such a trial on these categories, in [0, 1]; NaN where it has none."""
    by_shots = [table for table in paper_tables() if table.number not in (ABLATION, RESIDUALS)]
    for table in of_their_data((table for table in by_shots if table.answered_by(config)), categories):
        return float(table.printed(str(config.shots))["mean"][AVERAGE])
    return float("nan")


def facts(config: FoldConfig) -> dict[str, Any]:
    """Return what tells the paper's cells apart."""
    cell: dict[str, Any] = {"head": config.head.kind, "shots": config.shots, "good": config.good}
    if config.head.sees == "images":
        return cell
    pretrained = pretrains(config)
    polygons = pretrained and config.pseudo.mask == "polygon"
    reference = config.reference.kind if _is_residual(config) else None
    return cell | {"pretrained": pretrained, "polygons": polygons, "reference": reference}


@cache
def printed_cells() -> pd.DataFrame:
    """Columns table int64, row, column str, mean, std float64 as shares in [0, 1]; NaN for a missing std."""
    with (resources.files("sweeps.report") / "paper_tables.csv").open(encoding="utf-8") as file:
        cells = pd.read_csv(file, dtype={"column": str})
    return cells.assign(mean=cells["mean"] / 100, std=cells["std"] / 100)


def rows_mean(column: pd.DataFrame) -> float:
    """Average a column's rows, which its printed average does not always equal; NaN for the ablation: no rows."""
    return float(column["mean"].drop(AVERAGE).mean())


@cache
def _plan(name: str) -> Plan:
    return load_plan(name)


def _ablation_row(config: FoldConfig) -> str:
    """Name a row of the ablation by what is ticked in it."""
    if config.head.sees == "images":
        return config.head.kind
    ticked = {"residual": _is_residual(config), "pretraining": pretrains(config)}
    return " ".join([config.head.kind, *(name for name, there in ticked.items() if there)])


def _is_residual(config: FoldConfig) -> bool:
    """Whether what is normal has been taken off what the head sees, or off a part of it; `departures` says how."""
    return set(config.representation.parts) != {"raw"}


def _settings(config: FoldConfig) -> dict[str, Any]:
    """All settings by dotted key; of the epochs, those for the shots at hand."""
    tree = config.model_dump(mode="json")
    tree["finetune"]["epochs"] = config.finetune.epochs_for(config.shots)
    return flatten(tree)


def _counts(key: str, config: FoldConfig) -> bool:
    """Whether a setting can make a trial another than the paper's; not if nothing of its configuration uses it."""
    if config.head.sees == "images":
        return key.startswith(("features.", "head.")) and not key.startswith(_FREE)
    unused = [] if config.head.kind == "maml" else ["pretrain.maml."]
    unused += [] if pretrains(config) else ["pretrain.", "pseudo."]
    unused += [] if config.head.sees == "vectors" else _OF_VECTORS
    unused += [] if config.representation.scale == "covariance" else ["representation.shrinkage"]
    return not key.startswith((*_FREE, *unused))


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_shown, value))}]"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value).lower()
