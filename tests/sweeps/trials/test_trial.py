"""What Tune holds of trials: it copies configurations, and keeps every trial to the end of a sweep."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace

from ray.tune.experiment import Trial

from cluster.folds import Fold
from fsamc.fold.config import FoldConfig
from sweeps.trials.trial import PendingFolds, release_memory

FOLDS = [Fold(category=name, seed=1, draw=0, config=FoldConfig()) for name in ("cap", "tile")]


def test_copies_share_the_folds_and_other_processes_have_their_own():
    folds = PendingFolds(list(FOLDS))
    here, there = copy.deepcopy({"folds": folds})["folds"], pickle.loads(pickle.dumps(folds))
    assert there.take() == FOLDS
    assert list(here) == FOLDS
    assert here.take() == FOLDS
    assert list(folds) == here.take() == []


def test_of_a_trial_that_has_ended_little_is_left():
    trial = Trial("x", stub=True, config={"number": 3, "folds": PendingFolds(list(FOLDS))})
    for count in range(20):
        trial.update_last_result({"outcome": None, "training_iteration": count, "time_total_s": float(count)})
    with_histories = len(pickle.dumps(trial.run_metadata))
    release_memory(trial)
    assert trial.config["number"] == 3
    assert not list(trial.config["folds"])
    assert len(pickle.dumps(trial.run_metadata)) < 0.7 * with_histories


def test_a_trial_that_never_ran_is_release_memory_of_as_well():
    release_memory(SimpleNamespace(config={"folds": PendingFolds([])}, run_metadata=Trial("x", stub=True).run_metadata))
