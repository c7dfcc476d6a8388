"""A fold's result of which tests change what they are about."""

from __future__ import annotations

from fsamc.fold.result import FoldResult

RESULT = FoldResult(
    key="k",
    category="cap",
    seed=1,
    draw=0,
    shots=2,
    head="prototype",
    classes=("a", "b"),
    support={},
    images=("1", "2"),
    truth=(0, 1),
    predicted=(0, 0),
    scores=((1.0, 0.0), (0.75, 0.25)),
    excluded=0,
    rounds=0,
    learning=(),
    stages={},
)
