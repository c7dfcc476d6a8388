"""Usage of time, memory and builds by a sweep. The runs of a resumed sweep add up."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cluster.folds import Outcome
from fsamc.counting import counted
from fsamc.fold.result import FoldResult
from fsamc.store.store import Store

KINDS = ("features", "statistics", "pseudo", "sourcerows", "bank", "nearest", "vectors")


@dataclass
class Usage:
    """Folds told, and the seconds of their stages; wall time; memory.

    Attributes:
        stages: seconds per stage of the folds that were run, not reused.
        views: folds per category, shots and the views that `auto` chose, with why, in words.
        folds: told in this run of the sweep.
        reused: of these, how many a store had already.
        failed: of these, how many were not scored.
        peak_memory: bytes, proportional set size of the whole process tree.
        before: wall time of the runs that this one continues, seconds.
    """

    stages: Counter[str] = field(default_factory=Counter)
    views: Counter[str] = field(default_factory=Counter)
    folds: int = 0
    reused: int = 0
    failed: int = 0
    peak_memory: int = 0
    before: float = 0.0
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def going_on(cls, notes: Mapping[str, Any], *, started: float) -> Usage:
        """Go on where the sweep.json of an earlier run left off; `started` is on the monotonic clock."""
        return cls(
            stages=Counter(notes.get("stages", {})),
            views=Counter(notes.get("views", {})),
            peak_memory=notes.get("peak_memory_bytes") or 0,
            before=float(notes.get("seconds", 0.0)),
            started=started,
        )

    @property
    def seconds(self) -> float:
        """Wall time, earlier runs of a resumed sweep included."""
        return self.before + time.monotonic() - self.started

    def add(self, outcome: Outcome) -> None:
        """Count a fold."""
        self.folds += 1
        self.reused += outcome.reused
        self.failed += outcome.result is None
        if outcome.result is not None and not outcome.reused:
            self.stages.update(outcome.result.stages)
        if outcome.result is not None and outcome.result.views:
            self.views[_chosen_views(outcome.result)] += 1

    def notes(self) -> dict[str, Any]:
        """For sweep.json."""
        return {
            "stages": {name: round(seconds, 3) for name, seconds in self.stages.items()},
            "views": dict(sorted(self.views.items())),
            "seconds": round(self.seconds, 1),
            "folds": self.folds,
            "folds_reused": self.reused,
            "folds_failed": self.failed,
            "peak_memory_bytes": self.peak_memory or None,
        }


def _chosen_views(result: FoldResult) -> str:
    """Say which views `auto` chose for a fold, and why."""
    where, views = f"{result.category}, {counted(result.shots, 'shot')}", result.views
    both = views["support"] if views["support"] == views["queries"] else f"{views['support']} / {views['queries']}"
    return f"{where}: {both}: {views['because']}"


def views_lines(notes: Mapping[str, Any]) -> list[str]:
    """Say the same of all folds, where views are chosen."""
    return [f"{text} ({counted(count, 'fold')})" for text, count in notes.get("views", {}).items()]


def builds_by_kind(store: Store) -> dict[str, tuple[int, float]]:
    """Count per kind the artifacts that the sweep has built, and their seconds."""
    builds = dict.fromkeys(KINDS, (0, 0.0))
    for build in store.builds():
        count, seconds = builds.get(build.kind, (0, 0.0))
        builds[build.kind] = (count + 1, seconds + build.seconds)
    return builds


def builds_since(before: Mapping[str, tuple[int, float]], store: Store) -> dict[str, tuple[int, float]]:
    """Count what the sweep has built beyond `before`, by kind."""
    none = (0, 0.0)
    return {
        kind: (count - before.get(kind, none)[0], seconds - before.get(kind, none)[1])
        for kind, (count, seconds) in builds_by_kind(store).items()
    }


def folds_saved(
    planned: Mapping[int, int], ran: Mapping[Any, int], *, spared: int = 0, folds: int = 0
) -> dict[str, int]:
    """Count what stopping trials early has saved, for sweep.json, from what a resumed sweep finds on disk.

    Args:
        planned: folds of each trial that was stopped early.
        ran: folds that were run of every trial.
        spared: trials that were never begun, since none of them could have made a difference.
        folds: of each of these.
    """
    return {
        "trials_stopped": len(planned),
        "trials_spared": spared,
        "folds_scored": sum(ran.values()),
        "folds_saved": sum(most - ran.get(number, 0) for number, most in planned.items()) + spared * folds,
    }


def saved_line(notes: Mapping[str, Any]) -> list[str]:
    """Say the same in words, if any trial was stopped, or never begun."""
    told = saved_by(notes)
    return [f"{told}: {counted(notes['folds_scored'], 'fold')} spent, {notes['folds_saved']} saved"] if told else []


def saved_by(notes: Mapping[str, Any]) -> str:
    """Say how many trials were stopped or never begun; nothing where none was."""
    stopped, spared = (notes.get(f"trials_{how}", 0) for how in ("stopped", "spared"))
    told = [f"{counted(stopped, 'trial')} stopped early"] if stopped else []
    return ", ".join(told + ([f"{spared} not begun, for none could make a difference"] if spared else []))
