"""A small sweep that parts are killed of, and what is compared afterwards."""

from __future__ import annotations

import json
import re
import tempfile
from pathlib import Path
from typing import Any

import yaml

from fsamc.data.category import load_category
from fsamc.data.textures import load_textures
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from sweeps.plan.configurations import configuration
from sweeps.plan.load import load_plan
from sweeps.results.reader import SweepReader
from tests.sweeps.in_mlflow import contents
from tests.sweeps.small import PLAN, Lab, table

# Three ways to search the same space. Grid and random must end in the same table whatever happens on the way.
SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {},
    "random": {
        "space": {"representation.patches": {"integers": [2, 30]}, "finetune.lr": {"loguniform": [1e-4, 1e-2]}},
        "search": {"algorithm": "random", "trials": 4},
    },
    "optuna": {
        "space": {"representation.patches": {"integers": [2, 30]}, "finetune.lr": {"loguniform": [1e-4, 1e-2]}},
        "search": {"algorithm": "optuna", "trials": 4},
    },
}
_VOLATILE = re.compile(
    r"seconds|system/|memory|mlflow\.(user|source|parentRunId|runName|git)|fsamc\.sweep|\.time|delivered"
)


def write_plan(lab: Lab, search: str, more: dict[str, Any]) -> Path:
    """The plan of one of SEARCHES, named after it: an MLflow experiment of its own. `more` adds to its `search`."""
    base = {**PLAN["base"], "head": {**PLAN["base"]["head"], "kind": "contrastive"}}
    whole = {**PLAN, "name": search, "base": base, **SEARCHES[search]}
    file = lab.root / f"{search}{len(list(lab.root.glob(f'{search}*.yaml')))}.yaml"
    file.write_text(yaml.safe_dump({**whole, "search": {**whole["search"], **more}}, sort_keys=False))
    return file


def tracked(uri: str, experiment: str, sweep: str) -> dict[str, Any]:
    """What MLflow holds of a sweep, by the number of the trial: all that equal sweeps have in common.

    Fails on two runs of one trial, and on a value that was logged twice.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = contents(uri, experiment, sweep, Path(folder))
    for run in runs.values():
        twice = [key for key, points in run["metrics"].items() if len(dict(points)) < len(points)]
        assert not twice, f"logged twice: {twice}"
        del run["name"]
        for part in ("metrics", "tags"):
            run[part] = {key: value for key, value in run[part].items() if not _VOLATILE.search(key)}
        run["artifacts"] = {path: content if _is_stable(path) else b"" for path, content in run["artifacts"].items()}
    return runs


def _is_stable(path: str) -> bool:
    """Whether equal sweeps have equal content there: other files tell times."""
    return path.endswith(".json") or Path(path).parent.name == "confusion"


def same_tables(out: Path, reference: Path) -> list[str]:
    """In what the tables of two sweeps differ; nothing where they are equal."""
    names = ("predictions.csv", "summary.csv", "support.csv")
    differ = [name for name in names if (out / name).read_text() != (reference / name).read_text()]
    return differ + ([] if table(out).equals(table(reference)) else ["folds.csv"])


def unsound(out: Path, lab: Lab, store: Store) -> list[str]:
    """What is wrong with an adaptive sweep: lost or repeated trials and folds, folds that are not what a fold is."""
    plan, folds, records = load_plan(str(out / "plan.yaml")), SweepReader(out).folds, SweepReader(out).trials
    lines = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    proposed = [line["trial"] for line in lines if "values" in line]
    wrong = [] if sorted(proposed) == list(range(plan.search.trials)) else [f"trials proposed: {sorted(proposed)}"]
    if len({json.dumps(record.values, sort_keys=True) for record in records}) < len(records):
        wrong.append("a configuration ran twice")
    written = (out / "folds.csv").read_text().count("\n") - 1
    if written != len(folds):
        wrong.append(f"{written - len(folds)} folds are written twice")
    textures = load_textures(lab.textures)
    for record in records:
        config = configuration(plan, record.values)
        mine = folds[folds["trial"] == record.number]
        if len(mine) < 4 and not getattr(record, "stopped", None):
            wrong.append(f"trial {record.number} has {len(mine)} folds of 4")
        for row in mine.to_dict("records"):
            category = load_category(lab.data, row["category"])
            result = run_fold(category, config, seed=row["seed"], draw=row["draw"], store=store, textures=textures)
            if (row["correct"], row["queries"]) != (result.correct, result.queries):
                wrong.append(f"trial {record.number}, {row['category']}, seed {row['seed']}: not its recomputation")
    return wrong
