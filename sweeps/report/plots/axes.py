"""Swept keys as axes of numbers, for the parallel coordinates and the importances."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from sweeps.plan.configurations import swept
from sweeps.plan.settings import Distribution
from sweeps.report.document.numbers import shown
from sweeps.report.evidence import Evidence
from sweeps.results.tables import DASH

ACCURACY_COLORS = ("#d3dbe2", "#6aa5d4", "#0d3b66")


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One quantity of every ranked trial.

    Attributes:
        places: float64 [trials], where each trial lies; categories at 0, 1, 2, ..., logarithmic ones as log10. Where a
            key's condition is not met, below all others.
        ticks, labels: places that are labelled, and how.
        categorical: places are names, not amounts.
    """

    name: str
    places: np.ndarray
    ticks: list[float]
    labels: list[str]
    categorical: bool = False

    @property
    def bounds(self) -> tuple[float, float]:
        """From the lowest to the highest of places and ticks, with some room if that is one point."""
        low, high = min(*self.places, *self.ticks), max(*self.places, *self.ticks)
        return (low, high) if low < high else (low - 0.5, high + 0.5)

    @property
    def varies(self) -> bool:
        """Whether trials differ in it."""
        return bool(len(np.unique(self.places)) > 1)


def swept_axes(evidence: Evidence) -> list[Axis]:
    """Make axes of the swept keys, ranked trials best first, and last of their average accuracy in percent.

    Empty if nothing is swept or ranked.
    """
    trials, ranges = evidence.ranked["trial"], swept(evidence.plan)
    axes = [
        _axis(key, trials.map(evidence.of_trials(key)), ranges[key]) for key in (evidence.keys if len(trials) else [])
    ]
    return [*axes, _linear("average, %", 100 * evidence.ranked["mean"].to_numpy())] if axes else []


def _axis(name: str, values: pd.Series, distribution: Distribution) -> Axis:
    missing = values.isna()
    if missing.any() and not missing.all() and distribution.choice is None:
        return _with_missing(_axis(name, values[~missing], distribution), missing.to_numpy())
    if distribution.choice is not None or not pd.api.types.is_numeric_dtype(values):
        return _categorical(name, values)
    if distribution.loguniform is not None and (values > 0).all():
        return _logarithmic(name, values.to_numpy(float))
    return _linear(name, values.to_numpy(float))


def _with_missing(axis: Axis, missing: np.ndarray) -> Axis:
    """Give the axis of the other trials one place more, below, for those without a value."""
    low, high = axis.bounds
    places = np.full(len(missing), low - 0.1 * (high - low))
    places[~missing] = axis.places
    ticks, labels = [float(places.min()), *axis.ticks], [DASH, *axis.labels]
    return Axis(name=axis.name, places=places, ticks=ticks, labels=labels, categorical=axis.categorical)


def _categorical(name: str, values: pd.Series) -> Axis:
    values = values.astype(object).where(values.notna(), "")
    names = sorted(values.unique(), key=lambda value: (value != "", value))
    places = values.map({value: place for place, value in enumerate(names)}).to_numpy(float)
    ticks = [float(place) for place in range(len(names))]
    return Axis(name=name, places=places, ticks=ticks, labels=[shown(v) for v in names], categorical=True)


def _linear(name: str, values: np.ndarray) -> Axis:
    ticks = [float(tick) for tick in MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]).tick_values(values.min(), values.max())]
    return Axis(name=name, places=values, ticks=ticks, labels=[shown(tick) for tick in ticks])


def _logarithmic(name: str, values: np.ndarray) -> Axis:
    decades = range(math.floor(np.log10(values.min())), math.ceil(np.log10(values.max())) + 1)
    steps = (1,) if len(decades) > 3 else (1, 2, 5)
    ticks = [step * 10.0**decade for decade in decades for step in steps if decade < decades[-1] or step == 1]
    first = max((place for place, tick in enumerate(ticks) if tick <= values.min()), default=0)
    last = next((place for place, tick in enumerate(ticks) if tick >= values.max()), len(ticks))
    ticks = ticks[first : last + 1]
    return Axis(
        name=name, places=np.log10(values), ticks=[float(np.log10(t)) for t in ticks], labels=[shown(t) for t in ticks]
    )
