"""The copy of a study on which a sampler is asked: by itself, on a study in memory."""

from __future__ import annotations

import random

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from fsamc.config.dotted import validated
from sweeps.plan.settings import Plan
from sweeps.search.distributions import suggest
from sweeps.search.samplers import make_sampler
from sweeps.search.study_copy import StudyCopy

PLAN = validated(
    Plan,
    {
        "name": "p",
        "space": {
            "head.kind": {"choice": ["prototype", "contrastive"]},
            "pretrain.lr": {"loguniform": [1e-5, 1e-1]},
        },
        "search": {"algorithm": "optuna", "trials": 8, "startup": 2},
    },
)


def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def ask(copy: StudyCopy, trials: list[FrozenTrial], *, seed: int) -> FrozenTrial:
    """What the sampler suggests for the trial after `trials`, ready to be entered."""
    copy.follow(trials)
    return again(copy, seed=seed)


def again(copy: StudyCopy, *, seed: int) -> FrozenTrial:
    trial = copy.ask(make_sampler(PLAN, seed))
    for key, distribution in PLAN.space.items():
        suggest(trial, key, distribution)
    return copy.template(trial)


ENDS = (TrialState.COMPLETE, TrialState.FAIL, TrialState.PRUNED)


def end(real: optuna.Study, trial: FrozenTrial, state: TrialState, score: float) -> None:
    """End a trial of the study; one that is stopped early is estimated to score so much."""
    if state == TrialState.PRUNED:
        real._storage.set_trial_user_attr(trial._trial_id, PLAN.objective.estimate_name, score)
    values = [score] if state == TrialState.COMPLETE else None
    real._storage.set_trial_state_values(trial._trial_id, state, values)


def test_asking_leaves_no_trace_in_the_study_and_gives_what_can_be_entered_there():
    real, copy = study(), StudyCopy(PLAN)
    asked = ask(copy, real.trials, seed=1)
    assert real.trials == []
    assert asked.state == TrialState.RUNNING
    assert asked.params.keys() == asked.distributions.keys() == PLAN.space.keys()
    real.add_trial(asked)
    assert real.trials[0].params == asked.params


def test_a_copy_that_has_followed_suggests_what_a_fresh_one_does():
    # Trials end in any order, some fail or are stopped early; what was asked is entered, or not, or another driver's is
    # in its place.
    real, copy, dice = study(), StudyCopy(PLAN), random.Random(3)
    for number in range(25):
        asked = ask(copy, real.trials, seed=number)
        assert asked.params == ask(StudyCopy(PLAN), real.trials, seed=number).params
        chance = dice.random()
        if chance < 0.6:
            real.add_trial(asked)
        elif chance < 0.8:
            other = {"head.kind": "prototype", "pretrain.lr": dice.uniform(1e-5, 1e-1)}
            real.add_trial(create_trial(state=TrialState.RUNNING, params=other, distributions=asked.distributions))
        for trial in real.trials:
            if trial.state == TrialState.RUNNING and dice.random() < 0.5:
                end(real, trial, dice.choices(ENDS, [6, 2, 2])[0], dice.random())
    assert {trial.state for trial in real.trials} >= {*ENDS}


@pytest.mark.parametrize("entered", [0, 1])
def test_several_asked_for_one_place_are_forgotten_but_the_one_that_was_entered(entered: int):
    real, copy = study(), StudyCopy(PLAN)
    several = [ask(copy, real.trials, seed=1), again(copy, seed=2)]
    assert several[0].params != several[1].params
    real.add_trial(several[entered])
    real.tell(0, 0.5)
    assert ask(copy, real.trials, seed=3).params == ask(StudyCopy(PLAN), real.trials, seed=3).params
