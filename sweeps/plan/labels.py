"""Label of a trial: its configuration in a few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from fsamc.fold.config import FoldConfig


def label(config: FoldConfig, values: Mapping[str, Any]) -> str:
    """Name its head, its shots, and what else is swept, by the last part of its key if it can be."""
    short = Counter(key.rpartition(".")[2] for key in values)
    words = [config.head.kind, f"{config.shots} shots"]
    for key, value in values.items():
        if key not in ("head.kind", "shots"):
            last = key.rpartition(".")[2]
            shown = f"{value:.3g}" if isinstance(value, float) else str(value)
            words.append(f"{last if short[last] == 1 else key} {shown}")
    return ", ".join(words)
