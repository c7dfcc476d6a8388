"""Who proposes configurations: a grid, a list, random draws or Optuna. Trial 0 is always the plan's base itself."""

from __future__ import annotations

import itertools
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from fsamc.config import Distribution, Plan
from fsamc.seeds import derive, numpy_generator
from sweeps.plan import base_values, listed_values

Values = dict[str, Any]


class Proposer(ABC):
    """Proposes the swept keys' values of trial after trial, in order of their numbers.

    A resumed sweep tells what it knows first: `replay` for every trial that was proposed before, then goes on.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @abstractmethod
    def propose(self, number: int) -> Values | None:
        """Values of trial `number`; None when there are no more."""

    @abstractmethod
    def count(self) -> int:
        """How many trials there will be."""

    def replay(self, number: int, values: Values) -> None:  # noqa: B027  most have nothing to learn
        """Take note of a trial that an earlier run proposed."""

    def tell(self, number: int, accuracy: float | None) -> None:  # noqa: B027
        """Learn a trial's average accuracy, in [0, 1]; None if it failed."""


class Known(Proposer):
    """All trials are known from the start: the base, then the others; one that equals the base is not run twice."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        base = base_values(plan)
        self._points = [base] + [point for point in self.others() if _text(point) != _text(base)]

    @abstractmethod
    def others(self) -> list[Values]:
        """Every trial after the base, in order; the base may be among them."""

    def propose(self, number: int) -> Values | None:
        """The trial at this place."""
        return self._points[number] if number < len(self._points) else None

    def count(self) -> int:
        """The base and the others."""
        return len(self._points)


class Grid(Known):
    """Every combination of the choices, the last key fastest."""

    def others(self) -> list[Values]:
        """The grid's points."""
        choices = [given.choice or () for given in self.plan.space.values()]
        return [dict(zip(self.plan.space, values, strict=True)) for values in itertools.product(*choices)]


class Listed(Known):
    """The plan's `configurations`, in their order."""

    def others(self) -> list[Values]:
        """The list, with the base's values where an entry is silent."""
        return listed_values(self.plan)


class Budgeted(Proposer):
    """As many trials as the plan says."""

    def count(self) -> int:
        """`search.trials`; one where nothing is swept."""
        return self.plan.search.trials if self.plan.space else 1


class Random(Budgeted):
    """Independent draws; trial n is the same whatever happened before."""

    def propose(self, number: int) -> Values | None:
        """The n-th draw."""
        if number >= self.count():
            return None
        generator = numpy_generator(self.plan.search.seed, "random search", number)
        return (
            {key: _draw(given, generator.random()) for key, given in self.plan.space.items()}
            if number
            else (base_values(self.plan))
        )


class Optuna(Budgeted):
    """Optuna's TPE. A trial's proposal depends on its number and on what is known by then."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = {key: _distribution(given) for key, given in plan.space.items()}
        self._study = optuna.create_study(study_name=plan.name, direction="maximize")
        self._trials: dict[int, optuna.Trial] = {}

    def propose(self, number: int) -> Values | None:
        """The sampler's choice, seeded by the trial's number so that a resumed sweep repeats nothing."""
        if number >= self.count():
            return None
        if number == 0:
            self.replay(0, base_values(self.plan))
            return base_values(self.plan)
        seed = derive(self.plan.search.seed, "optuna", number) % 2**32
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
        self._trials[number] = self._study.ask(self._space)
        return {key: _plain(self.plan.space[key], value) for key, value in self._trials[number].params.items()}

    def replay(self, number: int, values: Values) -> None:
        """Enter the trial into the study; a base outside the space stays out, since Optuna cannot hold it."""
        params = {key: _stored(self.plan.space[key], value) for key, value in values.items()}
        if all(_holds(self._space[key], value) for key, value in params.items()):
            self._study.enqueue_trial(params)
            self._trials[number] = self._study.ask(self._space)

    def tell(self, number: int, accuracy: float | None) -> None:
        """Complete the trial in the study, or mark it as failed."""
        if trial := self._trials.pop(number, None):
            failed = optuna.trial.TrialState.FAIL if accuracy is None else None
            self._study.tell(trial, accuracy, state=failed)


def make_proposer(plan: Plan) -> Proposer:
    """The proposer that `search.algorithm` names."""
    kinds: dict[str, Callable[[Plan], Proposer]] = {"grid": Grid, "random": Random, "optuna": Optuna, "list": Listed}
    return kinds[plan.search.algorithm](plan)


def _draw(given: Distribution, share: float) -> Any:
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


def _distribution(given: Distribution) -> BaseDistribution:
    if given.choice is not None:
        return CategoricalDistribution([_stored(given, value) for value in given.choice])
    if given.integers is not None:
        return IntDistribution(*given.integers)
    if given.loguniform is not None:
        return FloatDistribution(*given.loguniform, log=True)
    assert given.uniform is not None
    return FloatDistribution(*given.uniform)


def _holds(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return bool(distribution._contains(distribution.to_internal_repr(value)))
    except ValueError:  # no such choice
        return False


def _stored(given: Distribution, value: Any) -> Any:
    """As Optuna holds it: choices that are lists or mappings as text."""
    return _text(value) if given.choice is not None and isinstance(value, list | tuple | Mapping) else value


def _plain(given: Distribution, stored: Any) -> Any:
    """Back from `_stored`."""
    return next((value for value in given.choice or () if _stored(given, value) == stored), stored)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
