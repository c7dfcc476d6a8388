from __future__ import annotations

from math import isnan

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, t

from sweeps.finals.intervals import Noise, interval_of_difference, interval_of_share, mean_and_noise


def answers(right: list[list[float]], *, category: str = "cap", shots: int = 2, groups: list[str] | None = None):
    """A table of images by draws as rows."""
    names = groups or [f"image {n}" for n in range(len(right))]
    rows = [
        {"category": category, "shots": shots, "group": names[image], "draw": draw, "score": score}
        for image, of_image in enumerate(right)
        for draw, score in enumerate(of_image)
    ]
    return pd.DataFrame(rows)


def test_the_variance_is_that_of_the_images_means_and_of_the_draws_means_worked_out_by_hand():
    noise = mean_and_noise(answers([[1, 1], [1, 0], [0, 0]]))
    # Images' means 1, 1/2, 0: sample variance 1/4, over 3. Draws' means 2/3, 1/3: sample variance 1/18, over 2.
    assert noise.mean == pytest.approx(1 / 2)
    assert noise.variance == pytest.approx(1 / 12 + 1 / 36)
    assert noise.freedom == pytest.approx((1 / 9) ** 2 / ((1 / 12) ** 2 / 2 + (1 / 36) ** 2 / 1))
    assert noise.groups == 3


def test_images_of_one_part_count_once():
    apart = mean_and_noise(answers([[1, 1], [1, 1], [0, 0], [0, 0]]))
    together = mean_and_noise(answers([[1, 1], [1, 1], [0, 0], [0, 0]], groups=["a", "a", "b", "b"]))
    assert apart.mean == together.mean == 1 / 2
    assert apart.variance == pytest.approx(1 / 3 / 4)
    assert together.variance == pytest.approx(1 / 2 / 2)


def test_categories_count_alike_and_their_variances_add_up():
    cap, tile = answers([[1, 1], [0, 0]]), answers([[1, 0]] * 8, category="tile")
    noise = mean_and_noise(pd.concat([cap, tile]))
    alone = mean_and_noise(cap).variance, mean_and_noise(tile).variance
    assert noise.mean == pytest.approx(1 / 2)
    assert noise.variance == pytest.approx(sum(alone) / 4)


def test_shots_are_averaged_on_the_same_images_and_draws():
    two, five = answers([[1, 0], [0, 0]], shots=2), answers([[1, 1], [0, 1]], shots=5)
    both = mean_and_noise(pd.concat([two, five]))
    mean = mean_and_noise(answers([[1, 0.5], [0, 0.5]]))
    assert both[:3] == pytest.approx(mean[:3])


def test_the_interval_is_clopper_and_pearson_s_where_answers_are_independent():
    low, high = interval_of_share(Noise(mean=0.7, variance=0.7 * 0.3 / 40, freedom=1e9, groups=40))
    assert (low, high) == pytest.approx((beta.ppf(0.025, 28, 13), beta.ppf(0.975, 29, 12)), abs=1e-6)
    wider = interval_of_share(Noise(mean=0.7, variance=0.7 * 0.3 / 40, freedom=5, groups=40))
    assert wider[0] < low < high < wider[1]


def test_where_all_answers_are_right_there_is_an_interval_still():
    noise = mean_and_noise(answers([[1, 1, 1]] * 12))
    assert interval_of_share(noise) == (pytest.approx(0.025 ** (1 / 12)), 1.0)
    assert interval_of_share(Noise(mean=0, variance=0, freedom=1, groups=12)) == (
        0.0,
        pytest.approx(1 - 0.025 ** (1 / 12)),
    )


def test_a_difference_has_student_s_interval_and_one_group_has_none():
    noise = Noise(mean=0.1, variance=0.04**2, freedom=7, groups=9)
    half = t.ppf(0.975, 7) * 0.04
    assert interval_of_difference(noise) == pytest.approx((0.1 - half, 0.1 + half))
    alone = mean_and_noise(answers([[1, 0]]))
    assert all(isnan(end) for end in (*interval_of_share(alone), *interval_of_difference(alone)))
    assert not np.isnan(alone.mean)
