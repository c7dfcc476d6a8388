"""Optuna search on a study that may outlive the sweep and be shared with other drivers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from optuna.trial import FrozenTrial, TrialState, create_trial

from fsamc.counting import counted
from fsamc.errors import BadInput
from fsamc.seeds import derive, numpy_generator
from sweeps.plan.configurations import base_values, configuration
from sweeps.plan.load import config_hash
from sweeps.plan.settings import Plan
from sweeps.plan.space import Values, settle
from sweeps.search.base import Home, Proposal, Proposer, distinct
from sweeps.search.distributions import as_text, for_optuna, optuna_params, suggest
from sweeps.search.prior import PRIOR, has_turn, read_prior
from sweeps.search.random import draw
from sweeps.search.samplers import check_sampler, make_sampler
from sweeps.search.shared_study import SharedStudy, configurations_tried, values_of
from sweeps.search.study_copy import StudyCopy

_PASSED_OVER = ("surplus", "tried as")  # outcomes of trials that another driver was faster with


class Optuna(Proposer):
    """Optuna's ask-and-tell. A proposal depends on the study's trials and their number, and on nothing else.

    A proposal is first asked of a copy of the study in memory: only what has not been tried is entered. Two drivers
    can still enter the same at once; then the lower number has it, and the other asks again. A base outside of the
    space is in the study without parameters, and as failed: no sampler could learn from it.
    """

    def __init__(self, plan: Plan, home: Home | None) -> None:
        """Open the study. Raises BadInput for a sampler that cannot do this, or a study that is another plan's."""
        super().__init__(plan)
        check_sampler(plan)
        self._count = distinct(plan)
        self._study = SharedStudy(plan, home)
        self._copy = StudyCopy(plan)
        self._prior = read_prior(plan)
        self._handed_out: set[int] = set()

    def count(self) -> int:
        """Count the trials of all drivers together."""
        return self._count

    def left(self) -> int:
        """Count what no driver has asked for yet, and what an earlier run of this one did not get to write down."""
        trials = self._study.trials()
        return self._count - len(configurations_tried(trials, self._count)) + len(self._left_behind(trials))

    def notice(self) -> str:
        """Say also that there is nothing left to do."""
        if not self._handed_out and self._study.trials() and not self.left():
            return f"{self._study.name} has all of its {counted(self._count, 'trial')}; raise search.trials for more"
        return super().notice()

    def propose(self) -> Proposal | None:
        """Return first the trials that a killed run entered and never began, then what the sampler suggests."""
        while True:
            trials = self._study.trials()
            tried = configurations_tried(trials, self._count)
            if behind := self._left_behind(trials):
                number, values = behind[0].number, values_of(behind[0]) or {}
            elif len(tried) < self._count:
                values, template, facts = self._new(trials, tried)
                number = self._enter(values, template, **facts)
                trials = self._study.trials()
            else:
                return None
            self._handed_out.add(number)
            if (first := configurations_tried(trials, self._count).get(as_text(values))) == number:
                return Proposal(number, values)
            # Another driver was faster: with the same configuration, or with the last trial that was asked for.
            surplus, tried_as = _PASSED_OVER
            why = surplus if first is None else f"{tried_as} trial {first}"
            self._study.close(trials[number], TrialState.FAIL, facts={"outcome": why})

    def replay(self, number: int, values: Values) -> None:
        """Find the trial in the study; enter it where a sweep has lost its own study, or never had one."""
        trials = self._study.trials()
        self._handed_out.add(number)
        if number < len(trials):
            there = trials[number]
            if not self._study.is_own(there) or as_text(values) != as_text(values_of(there)):
                raise BadInput(f"{self._study.name}: trial {number} is another one there; restore the study")
        elif self._enter(values, self._as_trial(values)) != number:
            raise BadInput(f"{self._study.name}: has lost trials before trial {number}; restore the study")

    def tell(
        self,
        number: int,
        score: float | None,
        *,
        seconds: float | None = None,
        std: float | None = None,
        folds: Mapping[int, float] | None = None,
    ) -> None:
        """Complete the trial, or let it fail where a goal has no value."""
        name = self.plan.objective.score_name
        facts = _finite({name: score, f"{name}_std": std, "seconds": seconds})
        goals = {"accuracy": facts.get(name), "seconds": facts.get("seconds")}
        scores = [score for goal in self.plan.search.goals if (score := goals[goal]) is not None]
        if len(scores) == len(self.plan.search.goals):
            self._end(number, TrialState.COMPLETE, facts, values=scores, intermediate_values=dict(folds or {}))
        else:
            self._end(number, TrialState.FAIL, facts)

    def prune(self, number: int, estimate: float, *, folds: Mapping[int, float], seconds: float | None = None) -> None:
        """Enter the trial as pruned, with its folds' scores; the sampler learns the estimate (`StudyCopy`)."""
        facts = _finite({self.plan.objective.estimate_name: estimate, "seconds": seconds})
        self._end(number, TrialState.PRUNED, facts, intermediate_values=dict(folds))

    def _end(self, number: int, state: TrialState, facts: dict[str, Any], **scores: Any) -> None:
        """End the trial. One that failed before, which Optuna lets nobody change, is entered once more."""
        trials = self._study.trials()
        trial, values = trials[number], values_of(trials[number]) or {}
        inside = optuna_params(self.plan.space, values) is not None
        if not inside:
            state, scores = TrialState.FAIL, {}
        failed = state == TrialState.FAIL
        if not trial.state.is_finished():
            outcome = {"outcome": "failed" if inside else "outside of the space"} if failed else {}
            self._study.close(trial, state, **scores, facts=facts | outcome)
        elif trial.state == TrialState.FAIL and not failed and not _again(trials, number):
            again = create_trial(state=state, params=trial.params, distributions=trial.distributions, **scores)
            self._enter(values, again, **facts, again=number)

    def _new(self, trials: list[FrozenTrial], tried: dict[str, int]) -> tuple[Values, FrozenTrial, dict[str, Any]]:
        """Return the values of a configuration that no trial has yet, the trial to enter in the study, and facts."""
        base = base_values(self.plan)
        if not tried:
            return base, self._as_trial(base), {}
        parts = ("optuna", len(trials)) + ((self._study.run,) if self._study.has_others(trials) else ())
        search, scores = self.plan.search, self._scores(trials)
        turn = {"proposed": len(tried), "startup": search.startup, "misses": search.prior.misses}
        if self._prior and has_turn(scores, **turn):
            for attempt in range(search.asks):
                values = self._prior.draw(self.plan, numpy_generator(self.plan.search.seed, *parts, "prior", attempt))
                if as_text(values) not in tried:
                    return values, self._as_trial(values), {PRIOR: True}
        self._copy.follow(trials)
        for attempt in range(self.plan.search.asks):
            seed = derive(self.plan.search.seed, *parts, *((attempt,) if attempt else ())) % 2**32
            trial = self._copy.ask(make_sampler(self.plan, seed))
            values = settle(self.plan.space, self.plan.base, partial(suggest, trial))
            if as_text(values) not in tried:
                return values, self._copy.template(trial), {}
        generator = numpy_generator(self.plan.search.seed, *parts, "drawn")
        while as_text(values := draw(self.plan, generator)) in tried:
            pass  # comes to an end, since not all of the space has been tried
        return values, self._as_trial(values), {}

    def _as_trial(self, values: Values) -> FrozenTrial:
        params = optuna_params(self.plan.space, values) or {}
        distributions = {key: for_optuna(self.plan.space[key]) for key in params}
        return create_trial(state=TrialState.RUNNING, params=params, distributions=distributions)

    def _enter(self, values: Values, trial: FrozenTrial, **facts: object) -> int:
        return self._study.enter(values, trial, config=config_hash(configuration(self.plan, values)), **facts)

    def _scores(self, trials: list[FrozenTrial]) -> Iterator[tuple[bool, float | None]]:
        """Yield of each trial that has ended whether it was the prior's, and its score, or the estimate of it."""
        for trial in trials:
            if trial.state == TrialState.PRUNED:
                yield PRIOR in trial.user_attrs, trial.user_attrs.get(self.plan.objective.estimate_name)
            elif trial.state.is_finished():
                yield PRIOR in trial.user_attrs, trial.values[0] if trial.values else None

    def _left_behind(self, trials: list[FrozenTrial]) -> list[FrozenTrial]:
        """List trials of earlier runs of this sweep that OUT does not know: a kill came first, or it was damaged."""
        return [
            trial
            for trial in trials
            if trial.number not in self._handed_out
            and self._study.is_own(trial)
            and "again" not in trial.user_attrs
            and not trial.user_attrs.get("outcome", "").startswith(_PASSED_OVER)
        ]


def _finite(numbers: Mapping[str, float | None]) -> dict[str, Any]:
    return {name: number for name, number in numbers.items() if number is not None and math.isfinite(number)}


def _again(trials: list[FrozenTrial], number: int) -> bool:
    return any(trial.user_attrs.get("again") == number for trial in trials)
