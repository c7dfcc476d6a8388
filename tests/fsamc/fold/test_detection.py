from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsamc.artifacts.good_scores import held_out_rows
from fsamc.config.dotted import updated
from fsamc.data.category import Category, load_category
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.defect_detection import threshold
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.result import FoldResult
from fsamc.store.store import Store
from tests.fsamc.kinds import DETECTORS, changes_to
from tests.fsamc.layouts import write_category
from tests.fsamc.results import RESULT

DETECTION = {"head.kind": "prototype", "representation.patches": 8, "detection.enabled": True}


@pytest.fixture(scope="module")
def category(tmp_path_factory) -> Category:
    """Ten good images to learn from and four to test on; two classes of obvious defects."""
    classes = {"crack": 5, "dent": 4}
    folder = write_category(tmp_path_factory.mktemp("data"), "plates", good=10, test_good=4, classes=classes)
    return load_category(folder.parent, "plates")


@pytest.fixture
def run(run, category):
    """Run a fold with detection and changes to the tiny configuration."""
    return lambda changes=None, **which: run({**DETECTION, **(changes or {})}, **{"category": category, **which})


def named(count: int, *, group_of=lambda number: number) -> Category:
    """A category of `count` good images that are nowhere."""
    train = tuple(f"train/good/{number:03}.png" for number in range(count))
    groups = {path: f"part {group_of(number)}" for number, path in enumerate(train)}
    return Category(
        folder=Path("plates"), name="plates", train=train, good=(), classes={}, masks={}, groups=groups, digests={}
    )


@pytest.mark.parametrize(
    ("count", "share", "rows"),
    [
        (10, 0.2, (2, 7)),
        (10, 0.5, (1, 3, 5, 7, 9)),
        (5, 0.01, (2,)),
        (2, 0.99, (1,)),
        (4, 0.99, (0, 2, 3)),
    ],
)
def test_held_out_images_are_evenly_spaced_and_some_are_left(count, share, rows):
    assert held_out_rows(named(count), share) == rows


def test_images_of_a_part_are_held_out_together():
    pairs = named(20, group_of=lambda number: number // 2)
    assert held_out_rows(pairs, 0.2) == (4, 5, 14, 15)
    scattered = named(20, group_of=lambda number: number % 10)
    assert held_out_rows(scattered, 0.2) == (2, 7, 12, 17)


@pytest.mark.parametrize("images", [1, 3])
def test_one_part_alone_cannot_be_held_out(tiny_config, images):
    one = named(images, group_of=lambda _: 0)
    with pytest.raises(BadInput, match=r"plates/train/good: 1 group of images; detection needs 2"):
        held_out_rows(one, 0.2)
    with pytest.raises(BadInput, match=r"or set detection\.enabled=false"):
        _ = FoldInputs(one, updated(tiny_config, DETECTION), seed=1).good_scores


SCORES = np.random.default_rng(0).permutation(np.arange(1, 41, dtype=np.float32))


@pytest.mark.parametrize(("false_alarms", "line"), [(0.0, 40), (0.05, 38), (0.07, 38), (0.1, 36), (0.5, 20), (0.99, 1)])
def test_the_threshold_by_hand(false_alarms, line):
    assert threshold(SCORES, false_alarms) == line


@pytest.mark.parametrize("false_alarms", np.linspace(0, 0.97, 23))
def test_no_lower_score_would_do_as_threshold(false_alarms):
    line = threshold(SCORES, false_alarms)
    assert line in SCORES
    assert (line < SCORES).mean() <= false_alarms + 1e-9
    assert (line <= SCORES).mean() > false_alarms - 1e-9


def good_scores(category: Category, config: FoldConfig, store: Store) -> tuple[np.ndarray, np.ndarray, tuple[int, ...]]:
    """Scores of the held-out images, all good features [G, P, D], and which of them are held out."""
    inputs = FoldInputs(category, config, seed=1)
    features = store.get(inputs.bank.good)["features"].astype(float)
    return store.get(inputs.good_scores)["scores"], features, inputs.good_scores.held_out


def test_held_out_images_are_judged_by_the_others_alone(category, tiny_config, store):
    """With all patches in the bank: had it seen the images that it judges, all scores were zero."""
    config = updated(tiny_config, {**DETECTION, "reference.ratio": 1.0, "detection.held_out": 0.3})
    scores, features, rows = good_scores(category, config, store)
    assert rows == (1, 5, 8)
    others = np.concatenate([image for row, image in enumerate(features) if row not in rows])
    for score, row in zip(scores, rows, strict=True):
        nearest = [np.linalg.norm(others - patch, axis=1).min() for patch in features[row]]
        assert score == pytest.approx(max(nearest), rel=1e-4)
        assert score > 0


@pytest.mark.parametrize("kind", DETECTORS)
def test_what_is_held_out_teaches_no_detector(tmp_path, category, tiny_config, store, kind):
    """An image that is like no other looks strange when it is held out, whatever the detector, and not to all of them.

    It is replaced by a copy of its neighbour, which is not held out, and so looks much more normal.
    """
    config = updated(tiny_config, {**DETECTION, **changes_to("reference", kind, images=3, words=3)})
    scores, _, rows = good_scores(category, config, store)
    folder = write_category(tmp_path, "plates", good=10, test_good=4, classes={"crack": 5, "dent": 4})
    strange = folder / "train/good" / f"{rows[0]:03}.png"
    Image.fromarray(255 - np.array(Image.open(strange)) // 3).save(strange)
    with_it, _, _ = good_scores(load_category(tmp_path, "plates"), config, store)
    assert with_it[0] > 2 * scores[0]
    assert np.array_equal(with_it[1:], scores[1:])


@pytest.mark.parametrize("kind", DETECTORS)
def test_obvious_defects_are_detected(run, kind):
    result = run(changes_to("reference", kind, images=3))
    assert result.detection_recall == 1
    assert result.auroc == 1
    assert result.good_images == tuple(f"test/good/{number:03}.png" for number in range(4))
    passed = sum(score <= result.threshold for score in result.good_anomaly)
    assert result.false_alarm_rate == 1 - passed / 4
    assert result.workflow_accuracy == (result.correct + passed) / (result.queries + 4)


def test_scores_are_the_largest_distances(run, category, tiny_config, store):
    result = run()
    inputs = FoldInputs(category, updated(tiny_config, DETECTION), seed=1)
    distances, good = (store.get(inputs.nearest(one))["distances"] for one in (inputs.defects, inputs.test_good))
    rows = [category.defects.index(path) for path in result.images]
    assert result.anomaly == tuple(float(max(distances[row])) for row in rows)
    assert result.good_anomaly == tuple(float(max(row)) for row in good)
    assert result.threshold == max(store.get(inputs.good_scores)["scores"])  # at most a twentieth of two is none


def test_detection_changes_no_score(run):
    without, with_it = run({"detection.enabled": False}), run()
    assert with_it.key != without.key
    assert (with_it.scores, with_it.predicted) == (without.scores, without.predicted)
    assert (without.threshold, without.anomaly, without.good_images, without.detected) == (None, (), (), ())
    for name in ("detection_recall", "false_alarm_rate", "workflow_accuracy", "auroc"):
        assert getattr(without, name) is None


def test_its_settings_move_the_threshold_and_nothing_else(run):
    two, six = run(), run({"detection.held_out": 0.6})
    tolerant = run({"detection.held_out": 0.6, "detection.false_alarms": 0.5})
    assert len({two.threshold, six.threshold, tolerant.threshold}) == 3
    assert tolerant.threshold < six.threshold
    for other in (six, tolerant):
        assert (other.scores, other.anomaly, other.good_anomaly) == (two.scores, two.anomaly, two.good_anomaly)


def test_nothing_is_computed_twice(run, tmp_path):
    for draw in (0, 1):
        for changes in ({}, {"detection.false_alarms": 0.3}, {"detection.enabled": False}):
            run(changes, store=Store(tmp_path), draw=draw)
    built = Counter(build.kind for build in Store(tmp_path).builds())
    once = {"bank": 1, "goodscores": 1, "statistics": 1, "vectors": 1}
    assert built == {"features": 3, "nearest": 2, **once}  # good, defects and test/good


def test_without_images_in_test_good_only_defects_count(run, category):
    result = run(category=replace(category, good=()))
    assert (result.false_alarm_rate, result.auroc, result.good_images) == (None, None, ())
    assert result.detection_recall == 1
    assert result.workflow_accuracy == result.accuracy


MISTAKEN = replace(
    RESULT,
    images=("1", "2", "3", "4", "5"),
    truth=(0, 0, 0, 1, 1),
    predicted=(0, 0, 1, 1, 1),
    scores=((0.0, 1.0),) * 5,
    threshold=3.0,
    anomaly=(4.0, 3.0, 5.0, 3.5, 9.0),
    good_images=("6", "7", "8"),
    good_anomaly=(1.0, 3.0, 4.5),
)


def test_mistakes_by_hand():
    """The second is right but missed, the third found but wrong; the last good image raises an alarm."""
    assert MISTAKEN.accuracy == 4 / 5
    assert MISTAKEN.detected == (True, False, True, True, True)
    assert MISTAKEN.detection_recall == 4 / 5
    assert MISTAKEN.false_alarm_rate == pytest.approx(1 / 3)
    assert MISTAKEN.workflow_accuracy == (3 + 2) / 8
    beaten = sum((one > other) + (one == other) / 2 for one in MISTAKEN.anomaly for other in MISTAKEN.good_anomaly)
    assert MISTAKEN.auroc == pytest.approx(beaten / 15)


def test_results_of_earlier_versions_are_still_read():
    raw = json.loads(MISTAKEN.to_json())
    raw["left_out"] = raw.pop("excluded")
    for name in ("threshold", "anomaly", "good_images", "good_anomaly"):
        del raw[name]
    old = FoldResult.from_json(json.dumps(raw))
    assert old == replace(MISTAKEN, threshold=None, anomaly=(), good_images=(), good_anomaly=())
    assert FoldResult.from_json(MISTAKEN.to_json()) == MISTAKEN


def test_the_head_has_no_part_in_it(category, tiny_config):
    """Not even one that sees images alone, and so has no bank of its own."""
    resnet = {"features.backbone": "resnet18", "features.weights": "random"}
    config = updated(tiny_config, {**resnet, "head.kind": "direct", "detection.enabled": True})
    inputs = FoldInputs(category, config, seed=1)
    read = {artifact.key for artifact in (*inputs.artifacts, inputs.bank)}
    maps = (inputs.nearest(inputs.defects), inputs.nearest(inputs.test_good), inputs.good_scores)
    assert read == {one.key for one in (*maps, inputs.bank, inputs.bank.good, inputs.defects, inputs.test_good)}


def test_good_is_a_class_or_is_detected(tiny_config):
    with pytest.raises(BadInput, match=r"`good` is true and so is `detection\.enabled`: .*; switch one off"):
        updated(tiny_config, {**DETECTION, "good": True})
