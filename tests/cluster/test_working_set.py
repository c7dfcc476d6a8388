"""What lies in memory: never more than asked for beyond what is read, and the least recently used goes first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cluster.working_set import WorkingSet


def test_the_least_recently_used_goes_first_and_nothing_that_is_read():
    held = WorkingSet(10)
    assert held.enter({"a": 4, "b": 4}) == []
    assert held.enter({"c": 4}) == []  # all three are read: more than may stay
    assert held.bytes == 12
    assert held.leave(["a", "b"]) == ["a"]
    assert held.enter({"b": 4}) == []
    assert held.leave(["c"]) == []
    assert held.enter({"d": 4}) == ["c"]
    assert held.leave(["b", "d"]) == []
    assert held.bytes == 8


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True), max_size=20), st.integers(0, 12))
def test_it_is_never_larger_than_what_is_read_or_may_stay(folds, most):
    sizes = {key: number + 1 for number, key in enumerate("abcdef")}
    held, there, reading = WorkingSet(most), set(), []
    for keys in folds:
        reading.append(keys)
        there |= set(keys)
        gone = held.enter({key: sizes[key] for key in keys})
        if len(reading) > 2:
            gone += held.leave(reading.pop(0))
        there -= set(gone)
        read = {key for one in reading for key in one}
        assert read <= there
        assert held.bytes == sum(sizes[key] for key in there)
        assert held.bytes <= max(most, sum(sizes[key] for key in read))
