"""OUT folders as finished sweeps leave them, of any number of trials, in seconds: nothing is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from sweeps.plan.configurations import configuration
from sweeps.plan.load import config_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.fold_rows import PREDICTIONS
from sweeps.results.reader import SweepReader

CATEGORIES = {
    "bottle_cap": ["chip", "dent", "misprint", "scratch"],
    "metal_plate": ["bend", "hole", "rust", "scratch", "stain"],
}
SPACE: dict[str, dict[str, list[Any]]] = {
    "head.kind": {"choice": ["contrastive", "prototype"]},
    "representation.patches": {"integers": [5, 80]},
    "reference.ratio": {"loguniform": [0.02, 0.2]},
    "representation.parts": {"choice": [["residual"], ["raw"]]},
    "pretrain.lr": {"loguniform": [1e-5, 1e-2]},
    "pretrain.stop_threshold": {"uniform": [0.2, 0.8]},
}
BASE = {"representation": {"parts": ["residual"]}}
QUERIES = 40  # of a fold
NOTES = {
    "status": "done",
    "fingerprint": "5e1fc0de",
    "seconds": 30_000.0,
    "stages": {"pretrain": 21_000.0, "finetune": 5_000.0, "score": 900.0},
    "builds": {"features": 6, "bank": 4},
    "build_seconds": {"features": 61.0, "bank": 33.0},
    "folds_reused": 12,
    "peak_memory_bytes": 3 << 30,
}


def write_synthetic(out: Path, *, trials: int, seed: int = 0, data: str = "5e1fc0de") -> Path:
    """`trials` x 8 folds (2 categories, 2 seeds, 2 draws) x 6 swept keys, with QUERIES predictions a fold.

    Accuracies follow the settings, the category and some noise of `seed`; 24,000 trials at most.
    """
    rng = np.random.default_rng(seed)
    plan = Plan.model_validate({"name": "synthetic", "base": BASE, "space": SPACE, "folds": {"draws": [0, 1]}})
    settings = [_settings(rng) for _ in range(trials)]
    out.mkdir(parents=True, exist_ok=True)
    (out / "plan.yaml").write_text(to_yaml(plan))
    lines = [f"{json.dumps({'trial': n, 'values': values, 'done': True})}\n" for n, values in enumerate(settings)]
    (out / "trials.jsonl").write_text("".join(lines))
    (out / "sweep.json").write_text(json.dumps(NOTES))
    (out / "identity.json").write_text(
        json.dumps(
            {"data": {f"category {name}": data for name in CATEGORIES}, "run": "a", "plan": "b", "trials": trials}
        )
    )
    folds = pd.DataFrame(row for n, values in enumerate(settings) for row in _folds(plan, n, values, rng))
    folds.to_csv(out / "folds.csv", index=False)
    _write_predictions(out / "predictions.csv", folds, rng)
    tables.write_summary(tables.summarise(SweepReader(out).folds), out)
    (out / "best.yaml").write_text(yaml.safe_dump({"name": "best"}))
    return out


def edit(out: Path, change: Callable[[pd.DataFrame], pd.DataFrame], name: str = "folds.csv") -> Path:
    """Change a table of OUT as text."""
    change(pd.read_csv(out / name, dtype=str, keep_default_na=False)).to_csv(out / name, index=False)
    return out


def note(out: Path, **notes: Any) -> None:
    """Add to sweep.json."""
    (out / "sweep.json").write_text(json.dumps(json.loads((out / "sweep.json").read_text()) | notes))


def _settings(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "head.kind": ["contrastive", "prototype"][int(rng.integers(2))],
        "representation.patches": int(rng.integers(5, 81)),
        "reference.ratio": float(10 ** rng.uniform(-1.7, -0.7)),
        "representation.parts": [["raw"], ["residual"]][int(rng.integers(2))],
        "pretrain.lr": float(10 ** rng.uniform(-5, -2)),
        "pretrain.stop_threshold": float(rng.uniform(0.2, 0.8)),
    }


def _folds(plan: Plan, number: int, values: dict[str, Any], rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Rows of folds.csv, in the order of its columns."""
    name = config_hash(configuration(plan, values))
    trained = values["head.kind"] == "contrastive"
    rate = 0.25 - 0.06 * (np.log10(values["pretrain.lr"]) + 3.5) ** 2 if trained else 0.1
    residual, patches = values["representation.parts"] == ["residual"], values["representation.patches"]
    skill = 0.3 + rate + 0.05 * residual - abs(patches - 40) / 400
    for place, (category, seed, draw) in enumerate(product(CATEGORIES, (1, 2), (0, 1))):
        share = np.clip(skill + 0.06 * (place < 4) + rng.normal(0, 0.04), 0, 1)
        correct = round(share * QUERIES)
        row: dict[str, Any] = {"trial": number, "config": name, "category": category, "seed": seed, "draw": draw}
        row |= {"shots": plan.base.shots, "head": values["head.kind"], "accuracy": correct / QUERIES}
        row |= {"correct": correct, "queries": QUERIES, "status": "ok"}
        row["seconds"] = round((12 if trained else 2) * float(rng.uniform(0.7, 1.5)) + patches / 40, 3)
        yield row | {key: json.dumps(value) if isinstance(value, list) else value for key, value in values.items()}


def _write_predictions(path: Path, folds: pd.DataFrame, rng: np.random.Generator) -> None:
    """The answers of a category with so many right are written once and repeated: it is their number that counts."""
    answers = {
        (category, correct): _answers(category, correct, rng)
        for category, correct in {*zip(folds["category"], folds["correct"], strict=True)}
    }
    with path.open("w") as file:
        file.write(",".join(PREDICTIONS) + "\n")
        for *fold, correct in folds[["trial", *tables.FOLD, "correct"]].itertuples(index=False):
            where = "".join(f"{part}," for part in fold)
            file.write(where + f"\n{where}".join(answers[fold[1], correct]) + "\n")


def _answers(category: str, correct: int, rng: np.random.Generator) -> list[str]:
    """image,truth,predicted,scores of QUERIES queries."""
    names = CATEGORIES[category]
    lines = []
    for query in range(QUERIES):
        truth = query % len(names)
        wrong = (truth + int(rng.integers(1, len(names)))) % len(names)
        predicted = truth if (query * 7) % QUERIES < correct else wrong
        scores = {name: round(0.1 + 0.8 * (place == predicted), 6) for place, name in enumerate(names)}
        quoted = json.dumps(scores).replace('"', '""')
        lines.append(f'test/{names[truth]}/{query:03}.png,{names[truth]},{names[predicted]},"{quoted}"')
    return lines
