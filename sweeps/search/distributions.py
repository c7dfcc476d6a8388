"""Distributions of a plan: drawn from, and as Optuna holds them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweeps.plan.settings import Distribution
from sweeps.plan.space import Values, holds

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


def as_text(value: Any) -> str:
    """Write a value as text, such that equal values have equal texts; numbers keep all their digits."""
    return json.dumps(value, sort_keys=True, default=str)


def value_of_share(distribution: Distribution, share: float) -> Any:
    """Give the value at `share`, uniform in [0, 1), of the distribution's range."""
    if distribution.choice is not None:
        return distribution.choice[int(share * len(distribution.choice))]
    if distribution.integers is not None:
        low, high = distribution.integers
        return low + int(share * (high - low + 1))
    if distribution.loguniform is not None:
        low_float, high_float = distribution.loguniform
        return float(low_float * (high_float / low_float) ** share)
    assert distribution.uniform is not None
    return float(distribution.uniform[0] + share * (distribution.uniform[1] - distribution.uniform[0]))


def share_of_value(distribution: Distribution, value: float) -> float:
    """Give the share, in [0, 1], at which a range of numbers has a value: the inverse of `value_of_share`."""
    if distribution.integers is not None:
        low, high = distribution.integers
        return (value - low + 0.5) / (high - low + 1)
    low_float, high_float = distribution.loguniform or distribution.uniform or (0.0, 1.0)
    if distribution.loguniform is not None:
        return math.log(value / low_float) / math.log(high_float / low_float)
    return (value - low_float) / (high_float - low_float)


def for_optuna(distribution: Distribution) -> BaseDistribution:
    """Make the distribution as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if distribution.choice is not None:
        return CategoricalDistribution([_stored(distribution, value) for value in distribution.choice])
    if distribution.integers is not None:
        return IntDistribution(*distribution.integers)
    low, high = distribution.loguniform or distribution.uniform or (0.0, 1.0)
    return FloatDistribution(low, high, log=distribution.loguniform is not None)


def suggest(trial: optuna.Trial, key: str, distribution: Distribution) -> Any:
    """Ask the trial's sampler for the key's value."""
    if distribution.choice is not None:
        stored = trial.suggest_categorical(key, [_stored(distribution, value) for value in distribution.choice])
        return next(value for value in distribution.choice if _stored(distribution, value) == stored)
    if distribution.integers is not None:
        return trial.suggest_int(key, *distribution.integers)
    low, high = distribution.loguniform or distribution.uniform or (0.0, 1.0)
    return trial.suggest_float(key, low, high, log=distribution.loguniform is not None)


def optuna_params(space: Mapping[str, Distribution], values: Values) -> Values | None:
    """Return a trial's values as Optuna stores them; None where one is outside its range, which Optuna cannot store."""
    if not all(holds_value(space[key], value) for key, value in values.items()):
        return None
    return {key: _stored(space[key], value) for key, value in values.items()}


def holds_value(distribution: Distribution, value: Any) -> bool:
    """Whether a value is in a distribution, choices compared as text: JSON turns the keys of a mapping into text."""
    return (
        as_text(value) in map(as_text, distribution.choice)
        if distribution.choice is not None
        else holds(distribution, value)
    )


def _stored(distribution: Distribution, value: Any) -> Any:
    """Return a value as Optuna stores it: a choice that is a list or a mapping becomes text."""
    return as_text(value) if distribution.choice is not None and isinstance(value, list | tuple | Mapping) else value
