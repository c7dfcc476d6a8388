from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from fsamc.representation.views import IDENTITY, VIEWS, grid_of

SQUARE = np.random.default_rng(0).integers(0, 255, (6, 6, 3), np.uint8)


@pytest.mark.parametrize(("name", "count"), [("none", 1), ("flips", 4), ("turns", 4), ("all", 8)])
def test_views_are_a_group_with_the_identity_first(name, count):
    """One after another they make no other view, and each is undone by one of them."""
    pictures = [view.of(SQUARE).tobytes() for view in VIEWS[name]]
    assert pictures[0] == SQUARE.tobytes()
    assert len({*pictures}) == len(pictures) == count
    for one, other in product(VIEWS[name], repeat=2):
        assert other.of(one.of(SQUARE)).tobytes() in pictures
    assert all(SQUARE.tobytes() in {other.of(one.of(SQUARE)).tobytes() for other in VIEWS[name]} for one in VIEWS[name])


def test_views_by_hand():
    square = np.array([[1, 2], [3, 4]])
    turned = {str(view): view.of(square).ravel().tolist() for view in VIEWS["all"]}
    assert turned == {
        "0": [1, 2, 3, 4],
        "90": [2, 4, 1, 3],  # counter-clockwise
        "180": [4, 3, 2, 1],
        "270": [3, 1, 4, 2],
        "flip 0": [2, 1, 4, 3],
        "flip 90": [1, 3, 2, 4],
        "flip 180": [3, 4, 1, 2],
        "flip 270": [4, 2, 3, 1],
    }
    assert {*VIEWS["flips"], *VIEWS["turns"]} < {*VIEWS["all"]}
    assert VIEWS["none"] == (IDENTITY,)


def test_a_grid_is_a_square():
    assert grid_of(np.arange(8).reshape(4, 2)).tolist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    with pytest.raises(ValueError, match="5 patches lie on no square grid"):
        grid_of(np.arange(5))
