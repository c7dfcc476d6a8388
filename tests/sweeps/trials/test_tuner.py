"""Processes of trials: as many as there are trials side by side, however many trials a sweep has."""

from __future__ import annotations

from unittest import mock

import pytest
from ray.air.execution._internal.actor_manager import RayActorManager

from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.small import Lab, table


@pytest.mark.slow
@pytest.mark.ray
def test_short_trials_start_no_more_processes_than_there_are_trials_side_by_side(lab: Lab):
    plan = lab.plan(space={"representation.patches": {"choice": list(range(1, 13))}})
    start = mock.patch.object(RayActorManager, "add_actor", autospec=True, side_effect=RayActorManager.add_actor)
    with folds_that_sleep(trials=3), start as started:
        out = lab.sweep(plan, out="short")
    assert table(out)["trial"].nunique() == 12
    assert started.call_count == 3
