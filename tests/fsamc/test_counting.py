"""Counts as text: one is not several."""

from __future__ import annotations

import pytest

from fsamc.counting import counted


@pytest.mark.parametrize(
    ("words", "one", "several"),
    [
        (("shot",), "1 shot", "0 shots"),
        (("query",), "1 query", "0 queries"),
        (("defect class",), "1 defect class", "0 defect classes"),
        (("trial", "are"), "1 trial is", "0 trials are"),
        (("shot", "need"), "1 shot needs", "0 shots need"),
    ],
)
def test_one_is_singular_and_all_else_plural(words, one, several):
    assert counted(1, *words) == one
    for n in (0, 2, 21):
        assert counted(n, *words) == f"{n}{several[1:]}"
