"""Label of a trial: its configuration in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsamc.counting import counted
from sweeps.plan.kinds import trial_kind
from sweeps.plan.settings import Plan
from sweeps.plan.yaml_lines import as_yaml


def label(plan: Plan, values: Mapping[str, Any]) -> str:
    """Name a trial's head, its shots if all folds have the same, and what is swept, by the last part of its key."""
    short = [key.rpartition(".")[2] for key in values]
    shots = [counted(n, "shot") for n in plan.folds.shots]
    words = [trial_kind("head", plan.base.head.kind, values), *(shots if len(shots) == 1 else [])]
    for key, value in values.items():
        if key != "head.kind":
            last = key.rpartition(".")[2]
            shown = f"{value:.3g}" if isinstance(value, float) else written(value)
            words.append(f"{last if short.count(last) == 1 else key} {shown}")
    return ", ".join(words)


def written(value: Any) -> str:
    """Write a swept value as text, a list as plans have it."""
    return as_yaml(value) if isinstance(value, list | tuple) else str(value)
