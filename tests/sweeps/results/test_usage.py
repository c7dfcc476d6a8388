"""What a sweep notes of its folds beside their scores."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cluster.folds import Outcome
from sweeps.results.usage import Usage, views_lines
from tests.fsamc.results import RESULT


def outcome(**changes: Any) -> Outcome:
    return Outcome(fold=None, result=replace(RESULT, **changes))  # type: ignore[arg-type]  # which fold is not asked


def test_chosen_views_are_counted_and_a_resumed_sweep_goes_on_counting():
    usage = Usage()
    for queries, shots in (("all", 2), ("all", 2), ("none", 1)):
        usage.add(outcome(views={"support": "all", "queries": queries, "because": "so it is"}, shots=shots))
    usage.add(outcome())
    assert views_lines(usage.notes()) == [
        "cap, 1 shot: all / none: so it is (1 fold)",
        "cap, 2 shots: all: so it is (2 folds)",
    ]
    resumed = Usage.going_on(usage.notes(), started=0.0)
    resumed.add(outcome(views={"support": "all", "queries": "all", "because": "so it is"}))
    assert views_lines(resumed.notes())[1] == "cap, 2 shots: all: so it is (3 folds)"
    assert views_lines({}) == []
