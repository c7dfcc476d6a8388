"""What sweeps leave in OUT, written without running any: for whatever reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from cluster.folds import Fold, Outcome
from fsamc.config.dotted import updated, validated
from fsamc.fold.result import FoldResult
from sweeps.plan.settings import Plan
from sweeps.results.files import append
from sweeps.results.folder import SweepFolder
from sweeps.results.reader import TrialRecord
from tests.fsamc.results import RESULT

PLAN = validated(
    Plan,
    {
        "name": "written",
        "base": {"features": {"backbone": "resnet18", "weights": "random"}},
        "space": {
            "head.kind": {"choice": ["prototype", "contrastive"]},
            "representation.patches": {"integers": [1, 5000]},
        },
        "folds": {"seeds": [1, 2], "draws": [0, 1], "shots": [3]},
        "search": {"algorithm": "random", "trials": 3},
    },
)
Scores = Mapping[tuple[str, int, int], int]  # right answers of ten per (category, seed, draw)


class Out:
    """A sweep's folder that a test fills."""

    def __init__(
        self, root: Path, *, sweep: str = "s1", categories: tuple[str, ...] = ("cap", "tile"), plan: Plan = PLAN
    ) -> None:
        self.plan, self.categories, self.sweep = plan, categories, sweep
        self.folder = SweepFolder(root, plan)
        self.reopen()
        rows = [
            (name, "false", 3, draw, "support", f"test/{kind}/{draw}{n}.png")
            for name in categories
            for draw in plan.folds.draws
            for kind in ("crack", "dent")
            for n in range(3)
        ]
        table = pd.DataFrame(rows, columns=["category", "good", "shots", "draw", "role", "image"])
        table.to_csv(root / "support.csv", index=False)

    def reopen(self) -> None:
        """Begin, or go on as the next run of the sweep does."""
        self.folder = SweepFolder(self.folder.root, self.plan)
        hashes = {f"category {name}": f"{name:0>32}" for name in self.categories}
        self.folder.open({**hashes, "textures": "f" * 32})
        self.note("running")

    @property
    def root(self) -> Path:
        return self.folder.root

    def note(self, status: str) -> None:
        """Write sweep.json."""
        self.folder.note(
            {
                "run": self.sweep,
                "status": status,
                "fingerprint": "d1",
                "versions": {"torch": "2.15"},
                "commit": "c0ffee",
                "caveats": [],
                "materials": {"data": "/data", "textures": "/textures"},
                "tracking_uri": f"sqlite:///{self.root / 'mlflow.db'}",
            }
        )

    def values(self, number: int) -> dict[str, object]:
        return {"head.kind": ("prototype", "contrastive")[number % 2], "representation.patches": number + 1}

    def propose(self, number: int) -> None:
        self.folder.proposed(TrialRecord(number, self.values(number)))

    def fold(self, number: int, where: tuple[str, int, int], right: int | None) -> None:
        """Report a fold of ten queries; None for one that failed."""
        self.folder.fold(number, self.values(number), outcome(self.plan, self.values(number), where, right))

    def trial(self, number: int, scores: Scores | None = None) -> None:
        """A whole trial."""
        self.propose(number)
        for where, right in (self.scores(number) if scores is None else scores).items():
            self.fold(number, where, right)
        self.folder.done(number)

    def stop(self, number: int, reason: str, estimate: float | None = None) -> None:
        """Note that a trial was stopped early."""
        line = {"trial": number, "done": True, "stopped": reason, "estimate": estimate}
        append(self.root / "trials.jsonl", json.dumps(line) + "\n")

    def scores(self, number: int) -> dict[tuple[str, int, int], int]:
        """Something else for every trial and fold."""
        folds = self.plan.folds
        places = [(name, seed, draw) for name in self.categories for seed in folds.seeds for draw in folds.draws]
        return {where: (number + 3 * place) % 11 for place, where in enumerate(places)}

    def end(self, status: str = "done") -> None:
        """What a sweep writes at its end."""
        self.folder.finish()
        (self.root / "report.html").write_text("<h1>report</h1>")
        self.note(status)


def outcome(
    plan: Plan, values: Mapping[str, object], where: tuple[str, int, int], right: int | None, *, queries: int = 10
) -> Outcome:
    """Of ten queries or fewer, of one class and the other in turn, the first `right` are named rightly."""
    config = updated(plan.base, values)
    category, seed, draw = where
    fold = Fold(category=category, seed=seed, draw=draw, config=config)
    if right is None:
        return Outcome(fold=fold, result=None, error="it broke")
    truth = ((0, 1) * 5)[:queries]
    predicted = tuple(label if place < right else 1 - label for place, label in enumerate(truth))
    result = result_of(
        fold,
        classes=("crack", "dent"),
        images=tuple(f"test/{('crack', 'dent')[label]}/{n}.png" for n, label in enumerate(truth)),
        truth=truth,
        predicted=predicted,
        scores=((0.25, 0.75),) * queries,
        stages={"classify": 0.5},
    )
    return Outcome(fold=fold, result=result)


def result_of(fold: Fold, **changes: Any) -> FoldResult:
    """A result of a fold, with what a test says of it."""
    place = {"category": fold.category, "seed": fold.seed, "draw": fold.draw}
    return replace(RESULT, **place, shots=fold.config.shots, head=fold.config.head.kind, **changes)
