"""A plan's distributions: drawn from, and as Optuna holds them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sweeps.plan.settings import Distribution
from sweeps.plan.space import Values, holds

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution


def as_text(value: Any) -> str:
    """Values as text that is equal where they are; numbers are exact."""
    return json.dumps(value, sort_keys=True, default=str)


def value_of_share(given: Distribution, share: float) -> Any:
    """The value at `share`, uniform in [0, 1), of the distribution's range."""
    if given.choice is not None:
        return given.choice[int(share * len(given.choice))]
    if given.integers is not None:
        low, high = given.integers
        return low + int(share * (high - low + 1))
    if given.loguniform is not None:
        low_float, high_float = given.loguniform
        return float(low_float * (high_float / low_float) ** share)
    assert given.uniform is not None
    return float(given.uniform[0] + share * (given.uniform[1] - given.uniform[0]))


def for_optuna(given: Distribution) -> BaseDistribution:
    """The distribution as Optuna has it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if given.choice is not None:
        return CategoricalDistribution([_stored(given, value) for value in given.choice])
    if given.integers is not None:
        return IntDistribution(*given.integers)
    low, high = given.loguniform or given.uniform or (0.0, 1.0)
    return FloatDistribution(low, high, log=given.loguniform is not None)


def suggest(trial: optuna.Trial, key: str, given: Distribution) -> Any:
    """The value that the trial's sampler suggests for the key."""
    if given.choice is not None:
        found = trial.suggest_categorical(key, [_stored(given, value) for value in given.choice])
        return next(value for value in given.choice if _stored(given, value) == found)
    if given.integers is not None:
        return trial.suggest_int(key, *given.integers)
    low, high = given.loguniform or given.uniform or (0.0, 1.0)
    return trial.suggest_float(key, low, high, log=given.loguniform is not None)


def optuna_params(space: Mapping[str, Distribution], values: Values) -> Values | None:
    """A trial's values as Optuna holds them; None where one is outside of its range, which Optuna cannot hold."""
    if not all(_inside(space[key], value) for key, value in values.items()):
        return None
    return {key: _stored(space[key], value) for key, value in values.items()}


def _inside(given: Distribution, value: Any) -> bool:
    """Read back from JSON, the keys of a mapping are text."""
    return as_text(value) in map(as_text, given.choice) if given.choice is not None else holds(given, value)


def _stored(given: Distribution, value: Any) -> Any:
    """Choices that are lists or mappings as text."""
    return as_text(value) if given.choice is not None and isinstance(value, list | tuple | Mapping) else value
