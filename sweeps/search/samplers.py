"""Samplers of Optuna by name, and what each cannot do."""

from __future__ import annotations

import warnings

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler

from fsamc.errors import BadInput
from sweeps.plan.settings import Plan


def make_sampler(plan: Plan, seed: int) -> BaseSampler:
    """Make the sampler that `search.sampler` names. All it knows is in the study: one is made for each proposal."""
    startup = plan.search.startup
    if plan.search.sampler == "cmaes":
        return CmaEsSampler(seed=seed, n_startup_trials=startup, warn_independent_sampling=False)
    if plan.search.sampler == "gp":
        alone = TPESampler(seed=seed, n_startup_trials=startup)
        return GPSampler(
            seed=seed, n_startup_trials=startup, independent_sampler=alone, warn_independent_sampling=False
        )
    conditional = any(distribution.when for distribution in plan.space.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)  # of `group`, which is for keys that some trials lack
        return TPESampler(
            seed=seed,
            n_startup_trials=startup,
            multivariate=True,
            constant_liar=True,
            group=conditional,
        )


def check_sampler(plan: Plan) -> None:
    """Raise BadInput where the sampler cannot search the plan's space."""
    if plan.search.sampler != "cmaes" or not plan.space:
        return
    mend = "leave it out of the space, or use search.sampler: tpe"
    for key, distribution in plan.space.items():
        if distribution.choice is not None:
            raise BadInput(f"search.sampler: cmaes varies ranges of numbers, and space.{key} is a choice; {mend}")
        if distribution.when:
            raise BadInput(f"search.sampler: cmaes needs every key in every trial, and space.{key} has `when`; {mend}")
    if len(plan.space) < 2:
        raise BadInput(f"search.sampler: cmaes needs two keys or more, found {', '.join(plan.space)}; use tpe")
    if len(plan.search.goals) > 1:
        raise BadInput("search.sampler: cmaes knows one goal, and search.goals are two; use tpe or gp")
