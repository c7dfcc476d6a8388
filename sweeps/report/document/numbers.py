"""Numbers as text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from sweeps.results.tables import DASH


def shown(value: Any) -> str:
    """Write a setting's value: numbers with four significant digits, a dash for none, all else as it is.

    A list, which folds.csv holds as JSON, loses its quotes.
    """
    if isinstance(value, str) and value.startswith('["'):
        value = f"[{', '.join(json.loads(value))}]"
    if value == "" or value != value:  # NaN
        return DASH
    return f"{value:.4g}" if isinstance(value, (int, float, np.number)) else str(value)


def percentage_points(share: float, *, digits: int = 1) -> str:
    """Write a difference of accuracies in percentage points, with its sign."""
    return DASH if math.isnan(share) else f"{100 * share:+.{digits}f}".replace("-", "\N{MINUS SIGN}")


def interval(low: float, high: float) -> str:
    """Write the two ends of a difference of accuracies in percentage points."""
    return DASH if math.isnan(low) else f"{percentage_points(low)} to {percentage_points(high)}"


def duration(seconds: float) -> str:
    """Write seconds as a person would: `0.4 s`, `12 s`, `3 min 20 s`, `1 h 02 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def listed(items: Iterable[Any], *, most: int = 12) -> str:
    """Join items with commas, the many after `most` as a count."""
    texts = [str(item) for item in items]
    rest = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {rest} more" if rest > 0 else "")
