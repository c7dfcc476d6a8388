"""Ray Tune, set up for a sweep: starts trials, passes on their reports, restarts those whose process died."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.execution.class_cache import ENV_VARS_TO_PROPAGATE
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.stopper import Stopper

from cluster.fold_service import FoldRunner
from cluster.ray_private import keep_trial_processes
from sweeps.plan.settings import Plan
from sweeps.trials.recorder import Recorder
from sweeps.trials.stopping import EarlyStopping
from sweeps.trials.trial import NotPickled, PlanSearch, run_trial


def run_trials(
    search: PlanSearch,
    recorder: Recorder,
    stopping: EarlyStopping,
    plan: Plan,
    *,
    runner: FoldRunner,
    workers: int,
    folds: int,
    left: int,
    scratch: Path,
    now: Callable[[], bool],
) -> None:
    """Run all trials that `search` proposes. Raises what recorder or scheduler have met and nobody expects.

    Args:
        search: proposes.
        recorder: is told.
        stopping: says, fold by fold, which trials go on.
        plan: says how many folds run side by side and how often they are tried again.
        runner: runs the folds.
        workers: folds that can run at once on the whole.
        folds: of one trial.
        left: trials that are not done.
        scratch: folder for Tune's own files; gone afterwards.
        now: whether to stop at once, whatever is running.
    """
    at_once, trials = side_by_side(plan, workers=workers, folds=folds, left=left)
    trainable = tune.with_parameters(run_trial, runner=runner, at_once=at_once, retries=plan.resources.retries)
    # A trial's own process only waits for its folds: it takes no CPU from them, and lives on the head node.
    needs = tune.PlacementGroupFactory([{"node:__internal_head__": 1e-4}])
    # Tune would give trials the secrets of AWS, on a command line that every user of the machine can read.
    ENV_VARS_TO_PROPAGATE.difference_update({name for name in ENV_VARS_TO_PROPAGATE if name.startswith("AWS_")})
    tuner = tune.Tuner(
        tune.with_resources(trainable, needs),
        tune_config=tune.TuneConfig(
            search_alg=search,
            scheduler=stopping,
            num_samples=-1,
            max_concurrent_trials=trials,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_name,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(scratch.absolute()),
            callbacks=[recorder, _NoOutput()],
            stop=_StopEarly(recorder, stopping, now),
            failure_config=tune.FailureConfig(max_failures=3),
            verbose=0,
        ),
    )
    try:
        with keep_trial_processes():
            tuner.fit()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if (error := stopping.error or recorder.error) is not None:
            raise error


def side_by_side(plan: Plan, *, workers: int, folds: int, left: int) -> tuple[int, int]:
    """Decide how many folds of a trial, and how many trials, are under way at once.

    Folds of one trial first, for then a search learns from a trial before it proposes the next. Where trials may be
    stopped early it is the other way round: a fold in flight when its trial is stopped was for nothing, so a trial has
    no more of them than are needed to keep all workers busy when there are fewer trials than workers.
    """
    stops = plan.search.stops_by != "none"
    at_once = math.ceil(workers / max(1, left)) if stops else workers
    at_once = max(1, min(folds, at_once))
    if plan.resources.folds_at_once != "auto":
        at_once = plan.resources.folds_at_once
    trials = math.ceil(workers / at_once)
    if plan.search.algorithm != "optuna":  # which had better wait for what a trial teaches
        # A trial whose folds are partly done leaves workers free: where times vary, for half as many trials more.
        trials = max(trials + 1, math.ceil(1.5 * trials))
    return at_once, trials


class _NoOutput(NotPickled, TrialProgressCallback):
    """In place of Tune's own, which prints a line per trial whatever `verbose` says."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Print nothing: the recorder tells."""


class _StopEarly(NotPickled, Stopper):
    """Ends the sweep when recorder or scheduler cannot go on, or somebody wants it to end now."""

    def __init__(self, recorder: Recorder, stopping: EarlyStopping, now: Callable[[], bool]) -> None:
        self._recorder, self._stopping, self._now = recorder, stopping, now

    def __call__(self, *_: Any) -> bool:
        """Stop no trial alone."""
        return False

    def stop_all(self) -> bool:
        """Whether to end."""
        return self._recorder.stopped_by is not None or self._stopping.error is not None or self._now()


def _name(trial: Any) -> str:
    return f"trial_{trial.config['number']}_{trial.trial_id}"  # a trial may come for several blocks of categories
