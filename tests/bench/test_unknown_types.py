"""The study of types that nobody has shown, on drawn vectors: who is asked, and what is averaged."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from fsamc.data.category import load_category
from tests.bench.bench_unknown import binned, calibration_error, left_out_scores
from tests.bench.unknown_types import DRAWS, SCORES, Bootstrap, Photos, head_scores, tasks
from tests.fsamc.layouts import write_category


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Photos:
    """Three types whose vectors lie apart by about what their images do; two images of one type show one part."""
    root = tmp_path_factory.mktemp("data")
    write_category(root, "bolt", good=1, classes={"dent": 7, "hole": 8, "scratch": 9})
    first, second, *_ = load_category(root, "bolt").defects
    (root / "bolt" / "groups.csv").write_text(f"path,group\n{first},part\n{second},part\n")
    category, generator = load_category(root, "bolt"), np.random.default_rng(0)
    middles = np.repeat(generator.normal(size=(3, 12)), [7, 8, 9], axis=0)
    return Photos(category, (middles + generator.normal(size=(24, 12))).astype(np.float32))


def test_each_type_is_left_out_of_each_draw_and_nobody_is_asked_about_a_part_of_the_support(photos):
    listed = list(tasks(photos, leave_out=True, shots=3))
    assert [(task.draw, task.left_out) for task in listed] == [(draw, left) for draw in DRAWS for left in range(3)]
    for task in listed:
        assert len(task.support) == 2
        assert set(task.labels[~task.shown]) == {task.left_out}
        shown = {tuple(vector) for images in task.support for vector in images}
        assert not shown & {tuple(vector) for vector in task.queries}
        assert len(task.rows) + 6 + (len({0, 1} & set(task.rows)) == 0 and task.left_out != 0) == 24


def test_the_estimate_is_the_area_under_the_curve_and_replicates_lie_about_it(photos):
    bootstrap, found = Bootstrap(photos, replicates=50), []
    for task in tasks(photos, leave_out=True):
        strange = SCORES["nearest support image"](task.queries, task.support)
        aurocs = bootstrap.auroc(task, strange)
        assert aurocs[0] == pytest.approx(roc_auc_score(~task.shown, strange))
        found.append((task, aurocs))
    mean = bootstrap.over_draws(found)
    assert mean[0] == pytest.approx(np.mean([aurocs[0] for _, aurocs in found]))
    assert mean[1:].min() < mean[0] < mean[1:].max()


def test_every_type_counts_alike_in_a_rate(photos):
    task = next(tasks(photos, leave_out=False))
    event = task.labels == 2
    assert Bootstrap(photos, replicates=0).rate(task, event, task.shown)[0] == pytest.approx(1 / 3)


def test_left_out_scores_are_those_of_heads_fitted_to_the_others(photos):
    task = next(tasks(photos, leave_out=False))
    support = [task.support[0][:1], *task.support[1:]]
    scores = left_out_scores("ridge", support)
    assert np.isnan(scores[0]).all()
    others = [support[0], np.delete(support[1], 2, 0), support[2]]
    np.testing.assert_array_equal(scores[3], head_scores("ridge", support[1][[2]], others)[0])


def test_the_calibration_error_by_hand():
    """Of two answers of 0.65 on average one is right, of two of 0.75 both."""
    chances, right = np.array([0.62, 0.68, 0.72, 0.78]), np.array([True, False, True, True])
    assert [count for count, _, _ in binned(chances, right)] == [2, 2]
    assert calibration_error(chances, right) == pytest.approx(100 * (0.15 * 2 + 0.25 * 2) / 4)
