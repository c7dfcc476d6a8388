"""Views: what people see first in MLflow, names, descriptions, and which columns and charts a link opens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mlflow.utils.mlflow_tags import (
    MLFLOW_EXPERIMENT_PRIMARY_METRIC_GREATER_IS_BETTER,
    MLFLOW_EXPERIMENT_PRIMARY_METRIC_NAME,
    MLFLOW_RUN_NOTE,
    MLFLOW_RUN_TYPE,
)

from fsamc.fold.config import FoldConfig
from sweeps.finals.final_tables import final_line
from sweeps.plan.configurations import swept
from sweeps.plan.labels import label
from sweeps.plan.load import config_hash
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.reader import SweepReader
from sweeps.tracking.inputs import categories_of
from sweeps.tracking.journal import Trial
from sweeps.tracking.trial_run import clean

TRIALS, SWEEPS, HEADS = "trials", "sweeps", "heads"
_SHARED = "mlflow.sharedViewState."  # what the button *Share* of the page makes
_HOW_TO_READ = """\
- `accuracy`: mean over draws, then over categories, shots and seeds; `accuracy_std`: its standard deviation over seeds.
- `accuracy/CATEGORY`, `accuracy_std/CATEGORY`: the same of one category. `accuracy_5shot` and so on, where there are
  several numbers of shots: the same at five.
- `seed_accuracy/CATEGORY`: a value per seed. Its step *is* the seed, so a line over steps shows the spread.
- A sweep's own run has the accuracies of its best trial.
- A trial that was stopped early has the tag `stopped`, and no `accuracy`: `accuracy_estimate`, or `objective_estimate`
  where another score chooses, is what its `folds` let expect, and what the search has learned of it.
- The best of many trials is partly the luckiest: report.html, among the artifacts of the sweep's run, has intervals,
  and an estimate for a new product."""


def experiment_tags(out: Path, plan: Plan, experiment: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return the experiment's tags that are always set, and those that are set where there are none."""
    metrics = ["accuracy", "accuracy_std", *(f"accuracy/{clean(name)}" for name in categories_of(out))]
    keys = [clean(key) for key in swept(plan)]
    views = {TRIALS: _by_trial(metrics, keys), SWEEPS: _by_sweep(metrics, keys), HEADS: _by_head(metrics, keys)}
    always = {f"{_SHARED}{name}": json.dumps(view) for name, view in views.items()}
    first = {
        "mlflow.experimentKind": "custom_model_development",
        MLFLOW_EXPERIMENT_PRIMARY_METRIC_NAME: "accuracy",
        MLFLOW_EXPERIMENT_PRIMARY_METRIC_GREATER_IS_BETTER: "True",
        MLFLOW_RUN_NOTE: _experiment_note(plan, experiment),
    }
    return always, first


def address(experiment: str, view: str = TRIALS, *, charts: bool = False) -> str:
    """Return the page of an experiment's runs as `view` shows them; to follow the server's address.

    The page of an experiment by itself opens on the side for language models, whatever the experiment's kind.
    """
    mode = "&compareRunsMode=CHART" if charts else ""
    return f"/#/experiments/{experiment}/runs?workflowType=machine_learning&viewStateShareKey={view}{mode}"


def child_name(trial: Trial, plan: Plan) -> str:
    """Name a trial by its number and by what differs between it and the others."""
    return f"trial {trial.record.number}: {label(plan, trial.record.values)}"


def child_tags(trial: Trial, config: FoldConfig) -> dict[str, str]:
    """Return the tags of a trial's run alone."""
    row = next(iter(trial.rows.values()), None)
    values = ", ".join(f"`{key}` = {value}" for key, value in trial.record.values.items()) or "the plan's base itself"
    note = (
        f"One configuration: {values}. All of it is among the parameters and in configuration.json.\n\n{_HOW_TO_READ}"
    )
    return {
        "config_hash": row["config"] if row else config_hash(config),
        MLFLOW_RUN_NOTE: note,
        MLFLOW_RUN_TYPE: "evaluation",  # the UI opens the run above those of this kind, and shows them below it
    }


def parent_note(out: Path, plan: Plan, best: int | None) -> str:
    """Describe a sweep's run: what it was, what came of it, where to look."""
    folds = plan.folds
    lines = [
        f"One sweep of the plan **{plan.name}**, search {plan.search.algorithm}; its trials are the runs nested below.",
        f"Categories {_listed(categories_of(out))}; seeds {_listed(folds.seeds)}; draws {_listed(folds.draws)}; "
        f"shots {_listed(folds.shots)}.",
    ]
    if best is not None:
        lines.append(_best(out, plan, best))
    return "\n\n".join([*lines, _HOW_TO_READ])


def _best(out: Path, plan: Plan, best: int) -> str:
    summary = tables.over_shots(tables.summarise(SweepReader(out).folds))
    mine = summary[(summary["trial"] == best) & (summary["category"] == tables.AVERAGE)].iloc[0]
    score = tables.percent(mine["mean"], mine["std"])
    values = next(record.values for record in SweepReader(out).trials if record.number == best)
    name = label(plan, values)
    own = f"Best: trial {best} ({name}), {score} %, chosen on the queries that it is reported on."
    final = final_line(out)
    return f"{own}\n\nThe number to report is that of the {final}." if final else own


def _experiment_note(plan: Plan, experiment: str) -> str:
    links = {
        "the trials, best first": address(experiment),
        "the sweeps, with the accuracy of each category": address(experiment, SWEEPS),
        "settings against accuracy": address(experiment, charts=True),
        "the heads side by side": address(experiment, HEADS, charts=True),
    }
    listed = ", ".join(f"[{text}]({link[1:]})" for text, link in links.items())
    return (
        f"Sweeps of **{plan.name}**. Open {listed}.\n\n"
        f"A sweep is a run, and each of its trials, one configuration, a run below it.\n\n{_HOW_TO_READ}"
    )


def _view(columns: Iterable[str], charts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Build a page as the UI keeps it: columns and charts.

    Columns of metrics come before those of parameters, whatever their order here. Runs are nested where the newest come
    first, which is the default.
    """
    section = {"uuid": "fsamc", "name": "Accuracy", "display": True}
    common = {"metricSectionId": "fsamc", "deleted": False, "isGenerated": False}
    return {
        "selectedColumns": list(columns),
        "compareRunCharts": [{"uuid": f"fsamc-{n}", **common, **chart} for n, chart in enumerate(charts)],
        "compareRunSections": [{**section, "isReordered": False, "deleted": False, "isGenerated": False}],
    }


def _by_trial(metrics: list[str], keys: list[str]) -> dict[str, Any]:
    """Show the best trial first, what differs between trials beside its accuracy; and a line per trial through both."""
    lines = {"type": "PARALLEL", "selectedParams": keys, "selectedMetrics": ["accuracy"], "showAllRuns": True}
    order = {"orderByKey": "metrics.`accuracy`", "orderByAsc": False}
    return _view(_columns(metrics[:2], keys), [lines, *_bars(metrics)]) | order


def _by_sweep(metrics: list[str], keys: list[str]) -> dict[str, Any]:
    """Show trials below their sweeps: who ran them, and the accuracy of each category."""
    return _view(["attributes.`User`", "attributes.`Source`", *_columns(metrics, keys)], _bars(metrics))


def _by_head(metrics: list[str], keys: list[str]) -> dict[str, Any]:
    """Show averages over the trials of one head, and how its seeds spread."""
    seeds = {"type": "LINE", "metricKey": "seed_accuracy/average", "selectedMetricKeys": ["seed_accuracy/average"]}
    group = {"aggregateFunction": "average", "groupByKeys": [{"mode": "param", "groupByData": "head.kind"}]}
    return _view(_columns(metrics, keys), [*_bars(metrics), seeds]) | {"groupBy": group}


def _columns(metrics: Iterable[str], keys: Iterable[str]) -> list[str]:
    return [*(f"metrics.`{name}`" for name in metrics), *(f"params.`{key}`" for key in keys)]


def _bars(metrics: Iterable[str]) -> list[dict[str, Any]]:
    shown = (name for name in metrics if name != "accuracy_std")
    return [{"type": "BAR", "metricKey": name, "runsCountToCompare": 20} for name in shown]


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))
