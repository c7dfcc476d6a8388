from __future__ import annotations

from itertools import count

import pytest

from fsamc.reading import read_each


class Numbers:
    """As a sequence of many: notes which are taken."""

    def __init__(self, size: int) -> None:
        self.size, self.taken = size, []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, place: int) -> int:
        self.taken.append(place)
        return place


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 300])
def test_everything_is_done_once_and_comes_in_order(size):
    numbers, told = Numbers(size), []
    assert list(read_each(lambda n: n * n, numbers, "squaring", lambda *words: told.append(words))) == [
        n * n for n in range(size)
    ]
    assert numbers.taken == [*range(size)]
    assert told == [("squaring", done, size) for done in range(1, size + 1)]


def test_a_million_are_not_taken_before_the_first_is_there():
    numbers = Numbers(1_000_000)
    results = read_each(lambda n: n, numbers)
    for consumed, _ in zip(count(1), results, strict=False):
        assert len(numbers.taken) <= consumed + 64
        if consumed == 100:
            break
    results.close()


def test_an_error_comes_in_its_place_and_ends_the_work():
    numbers = Numbers(1_000)

    def fail(number: int) -> int:
        if number == 7:
            raise ValueError("seven")
        return number

    results = read_each(fail, numbers)
    assert [next(results) for _ in range(7)] == [*range(7)]
    with pytest.raises(ValueError, match="seven"):
        next(results)
    assert len(numbers.taken) < 100
