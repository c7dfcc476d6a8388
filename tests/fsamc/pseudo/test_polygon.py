from __future__ import annotations

import math

import numpy as np
import pytest

from fsamc.pseudo.polygon import polygon

SIDE, RADIUS = 320, 120.0
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE] + 0.5


def draw(corners, *, centre=(160.0, 160.0), radius=RADIUS, angle=0.3):
    return polygon(SIDE, corners, centre=centre, radius=radius, angle=angle)


@pytest.mark.parametrize("corners", [3, 4, 5, 6, 12])
@pytest.mark.parametrize("angle", [0.0, 0.1, 1.0, 2.5, 6.0])
def test_the_area_is_the_closed_form_whatever_the_rotation_and_the_place(corners, angle):
    closed_form = corners / 2 * RADIUS**2 * math.sin(2 * math.pi / corners)
    for centre in [(160.0, 160.0), (140.3, 171.9)]:
        assert draw(corners, centre=centre, angle=angle).sum() == pytest.approx(closed_form, rel=0.004)


def test_an_upright_square_by_hand():
    mask = polygon(10, 4, centre=(5.0, 4.0), radius=2 * math.sqrt(2), angle=0.0)
    expected = np.zeros((10, 10), bool)
    expected[3:7, 2:6] = True  # half an edge is 2 pixels
    np.testing.assert_array_equal(mask, expected)


def test_a_triangle_by_hand_points_away_from_the_edge_with_the_given_normal():
    mask = polygon(40, 3, centre=(20.0, 20.0), radius=16.0, angle=0.0)  # the edge is on the right, at column 28
    widths = mask.sum(axis=0)
    assert np.flatnonzero(widths).tolist() == list(range(5, 28))
    assert widths[27] == pytest.approx(16 * math.sqrt(3), abs=2)
    assert (np.diff(widths[5:28]) >= 0).all()
