"""A classifier of new pictures, against the fold that has the same support and bank."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from fsamc.classifier.calibration import Calibration
from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.configuration import ROWS
from fsamc.classifier.photos.support_set import photo_names
from fsamc.classifier.prediction import Prediction, Unread
from fsamc.data.images import read_image
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from tests.fsamc.classifier.photos import FREE, files


@pytest.fixture(scope="module")
def classifier(make) -> DefectClassifier:
    """One that the tests share and none changes."""
    return make()


def numbers(predictions: list[Prediction]) -> np.ndarray:
    return np.array([list(one.scores.values()) for one in predictions])


def same(ours: DefectClassifier, theirs: DefectClassifier, images: list[Path]) -> None:
    """Assert that two classifiers give the same answers."""
    for one, other in zip(ours.predict(images), theirs.predict(images), strict=True):
        assert Path(one.nearest).name == Path(other.nearest).name
        for name in ("label", "labels", "known"):
            assert getattr(one, name) == getattr(other, name)
        assert one.scores == pytest.approx(other.scores, abs=1e-6)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"views.support": "all", "views.queries": "flips"},
        {"views.support": "auto", "views.queries": "auto", "views.errors": 0.0},
        {"head.kind": "ridge"},
        {"head.kind": "contrastive", "head.pool": "anomalous"},
        {"head.kind": "vanilla", "head.pool": "flatten"},
        {"reference.kind": "padim", "representation.scale": "channel"},
        {"support.mean": "residual", "representation.extent": 0},
    ],
    ids=str,
)
def test_its_scores_are_those_of_a_fold_with_the_same_support(run, make, tiny_category, changes):
    fold = run({**FREE, **changes}, draw=1)
    support = {name: files(tiny_category, paths) for name, paths in fold.support.items()}
    predictions = make({**changes}, support).predict(files(tiny_category, fold.images))
    assert [one.label for one in predictions] == [fold.classes[label] for label in fold.predicted]
    assert np.allclose(numbers(predictions), np.array(fold.scores), atol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"head.kind": "contrastive"}, {"support.mean": "residual"}], ids=str)
def test_a_file_gives_the_answers_of_the_classifier_that_was_saved(make, tiny_category, tmp_path, changes):
    ours = make(changes)
    ours.save(tmp_path / "tiles.fsamc")
    theirs = DefectClassifier.load(tmp_path / "tiles.fsamc", cache=tmp_path)
    same(ours, theirs, files(tiny_category, tiny_category.defects))
    assert theirs.classes_ == ours.classes_
    assert [photo.thumbnail for photo in theirs.photos] == [photo.thumbnail for photo in ours.photos]
    theirs.save(tmp_path / "again.fsamc")
    again = DefectClassifier.load(tmp_path / "again.fsamc", cache=tmp_path)
    same(ours, again, files(tiny_category, tiny_category.train))


def test_pictures_come_as_a_folder_as_paths_as_arrays_or_one_by_one(classifier, make, tiny_category):
    folder = tiny_category.folder / "test" / "dent"
    paths = sorted(folder.iterdir())
    arrays = np.stack([read_image(path) for path in paths])
    expected = numbers(classifier.predict(paths))
    for pictures in (folder, str(folder), arrays, iter(paths), (array for array in arrays), [arrays[:2], *paths[2:]]):
        assert np.allclose(numbers(classifier.predict(pictures)), expected, atol=1e-5)
    assert np.allclose(numbers(classifier.predict(paths[0])), expected[:1], atol=1e-5)
    assert np.allclose(classifier.predict_proba(arrays).sum(1), 1)
    parts = {"good": tiny_category.train} | {name: of[:2] for name, of in tiny_category.classes.items()}
    support = {name: np.stack([read_image(path) for path in files(tiny_category, of)]) for name, of in parts.items()}
    by_arrays = DefectClassifier(classifier.config, rows=None).fit(support.pop("good"), support)
    assert np.allclose(numbers(by_arrays.predict(paths)), expected, atol=1e-5)


def test_photos_that_are_added_and_removed_leave_a_classifier_that_was_fitted_to_the_rest(make, tiny_category):
    crack, dent, hole = (files(tiny_category, paths) for paths in tiny_category.classes.values())
    expected = make(None, {"crack": crack[:3], "hole": hole[:1]})
    changed = make(None, {"crack": crack[:1], "dent": dent[:2]})
    changed.add("hole", hole[:1]).add("crack", crack[1:3]).remove("dent")
    assert set(changed.classes_) == set(expected.classes_)
    same(changed, expected, dent + hole)
    changed.rename("hole", "pit")
    assert changed.classes_ == ("crack", "pit")
    labels = [{"hole": "pit"}.get(one.label, one.label) for one in expected.predict(hole)]
    assert [one.label for one in changed.predict(hole)] == labels


def test_classes_may_have_different_numbers_of_photos(make, tiny_category):
    crack, dent, hole = (files(tiny_category, paths) for paths in tiny_category.classes.values())
    for head in ("prototype", "ridge", "lda", "logistic", "cache"):
        classifier = make({"head.kind": head}, {"crack": crack[:1], "dent": dent[:2], "hole": hole[:4]})
        assert [one.label for one in classifier.predict([crack[0], dent[0], hole[0]])] == ["crack", "dent", "hole"]


@pytest.mark.parametrize(
    ("changes", "classes", "text"),
    [
        ({}, {"crack": 2}, "2 are needed"),
        (
            {"head.kind": "contrastive"},
            {"crack": 1, "dent": 2},
            "equally many photos of each class, found crack 1, dent 2",
        ),
        ({"reference.kind": "spade"}, {"crack": 1, "dent": 1}, "choose patchcore or padim"),
        ({"representation.region": "masks"}, {"crack": 1, "dent": 1}, "set representation.region=anomaly"),
        ({}, {"crack": 1, "dent": 0}, "dent: no pictures"),
    ],
)
def test_what_makes_no_classifier_is_told_in_one_line(make, tiny_category, changes, classes, text):
    support = {name: files(tiny_category, tiny_category.classes[name][:n]) for name, n in classes.items()}
    with pytest.raises(BadInput, match=text):
        make(changes, support)


def test_a_picture_that_is_in_two_classes_or_there_already_is_refused(make, classifier, tiny_category):
    first, second = files(tiny_category, tiny_category.classes["crack"][:2])
    with pytest.raises(BadInput, match="two classes"):
        make(None, {"crack": [first, second], "dent": [second]})
    with pytest.raises(BadInput, match="is in class crack already"):
        classifier.add("dent", [first])


def test_a_picture_that_cannot_be_read_is_told_and_all_others_are_answered(classifier, tiny_category, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    good = files(tiny_category, tiny_category.defects[:9])
    answers = list(classifier.predict_each([*good[:4], broken, *good[4:]]))
    assert [isinstance(one, Unread) for one in answers] == [False] * 4 + [True] + [False] * 5
    assert answers[4].problem.startswith(str(broken))
    answered = numbers([one for one in answers if isinstance(one, Prediction)])
    assert np.allclose(answered, numbers(classifier.predict(good)), atol=1e-5)
    with pytest.raises(BadInput, match=r"broken\.png"):
        classifier.predict([broken])


def test_no_more_than_two_batches_of_pictures_are_held(classifier, tiny_category):
    pixels, taken = read_image(tiny_category.folder / tiny_category.defects[0]), 0

    def pictures() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(100):
            taken += 1
            yield pixels

    answers = classifier.predict_each(pictures())
    next(answers)
    assert taken <= 2 * classifier.config.features.batch
    assert sum(1 for _ in answers) == 99


@pytest.mark.parametrize(
    "array", [np.zeros((2, 8, 8), np.uint8), np.zeros((1, 8, 8, 3)), np.zeros((1, 0, 8, 3), np.uint8)]
)
def test_arrays_of_another_kind_are_refused(classifier, array):
    with pytest.raises(BadInput, match="expected RGB pictures, uint8"):
        classifier.predict(array)


def test_a_prediction_says_what_it_rests_on(classifier, tiny_category, tmp_path):
    """The heat map is the picture's size and hottest at the defect, as are the regions; the photo itself is nearest."""
    path = files(tiny_category, tiny_category.classes["crack"])[0]
    wide = tmp_path / "wide.png"
    Image.open(path).resize((120, 60)).save(wide)
    prediction = classifier.predict(wide)[0]
    assert prediction.heatmap.shape == (60, 120)
    assert prediction.anomaly == pytest.approx(prediction.distances.max())
    own = classifier.predict(path)[0]
    assert own.nearest.endswith(path.name)
    assert own.likeness == pytest.approx(1, abs=1e-5)
    assert own.label == "crack"
    assert own.known
    assert own.probability == max(own.probabilities.values())


def test_where_photos_are_few_other_products_lend_theirs(make, tiny_category, tmp_path):
    """Six photos carry an error rate of one in seven; with two products more, one in 21."""
    ours, others = make(), [make({"representation.patches": patches}) for patches in (4, 12)]
    image = files(tiny_category, tiny_category.defects[:1])
    assert not ours.predict(image, alpha=0.05)[0].calibrated
    ours.borrow(others).save(tmp_path / "tiles.fsamc")
    loaded = DefectClassifier.load(tmp_path / "tiles.fsamc", cache=tmp_path)
    for classifier in (ours, loaded):
        assert classifier.predict(image, alpha=0.05)[0].calibrated
        assert not classifier.predict(image, alpha=0.04)[0].calibrated


def test_photos_of_defects_are_defective_and_what_was_learnt_as_normal_is_not(classifier, tiny_category):
    cracks, normal = (files(tiny_category, paths) for paths in (tiny_category.classes["crack"], tiny_category.train))
    assert all(one.defective and one.anomaly > classifier._fitted.threshold for one in classifier.predict(cracks))
    assert not any(one.defective for one in classifier.predict(normal))


def test_two_defects_in_one_picture_are_both_named(make, tiny_category):
    """A crack is a bright square at the top left, a dent a dark one at the bottom right."""
    good = np.stack([read_image(path) for path in files(tiny_category, tiny_category.train)]).astype(int)
    bright, dark = np.zeros_like(good[0]), np.zeros_like(good[0])
    bright[4:20, 4:20], dark[44:60, 44:60] = 100, -100
    crack, dent, double = (np.uint8((good + change).clip(0, 255)) for change in (bright, dark, bright + dark))
    classifier = make(None, {"crack": crack[:3], "dent": dent[:3]})
    # The one good image that is held out sets a threshold that the blur between the squares is above.
    classifier._fitted = replace(classifier._fitted, threshold=1.95)
    assert [one.defects for one in classifier.predict(np.stack([crack[3], dent[3]]))] == [("crack",), ("dent",)]
    both = classifier.predict(double[3])[0]
    assert set(both.defects) == {"crack", "dent"}
    boxes = {region.label: region.box for region in both.regions}
    assert max(boxes["crack"]) < min(boxes["dent"])
    pictures = [double[3], good[0].astype(np.uint8), crack[3], double[4]]
    with mock.patch.object(Calibration, "answer", autospec=True, side_effect=Calibration.answer) as asked:
        batch = classifier.predict(pictures)
    assert asked.call_count == 2, "once for the pictures and once for all regions"
    for one, alone in zip(batch, (classifier.predict(picture)[0] for picture in pictures), strict=True):
        assert [(region.box, region.label, region.known) for region in one.regions] == [
            (region.box, region.label, region.known) for region in alone.regions
        ]


def test_photos_are_named_without_a_user_s_folders(make, tiny_category, tmp_path):
    """In the layout of sweeps below the category; else by folder and file, and more where that is ambiguous."""
    assert photo_names(["test/dent/1.png", "train/good/0.png"]) == {
        "test/dent/1.png": "test/dent/1.png",
        "train/good/0.png": "train/good/0.png",
    }
    loose = ["home/a/dent/1.png", "home/b/dent/1.png", "home/a/chip/1.png"]
    assert list(photo_names(loose).values()) == ["a/dent/1.png", "b/dent/1.png", "chip/1.png"]
    assert photo_names(["/x/dent/1.png"], {"dent/1.png"}) == {"/x/dent/1.png": "x/dent/1.png"}
    assert photo_names(["0"]) == {"0": "0"}

    photos = {}
    for label, paths in tiny_category.classes.items():
        (tmp_path / "alice" / label).mkdir(parents=True)
        photos[label] = [shutil.copy(file, tmp_path / "alice" / label) for file in files(tiny_category, paths[:2])]
    classifier = make(None, photos)
    assert {photo.name.count("/") for photo in classifier.photos} == {1}
    added = shutil.copy(files(tiny_category, tiny_category.classes["crack"])[3], tmp_path / "alice" / "new.png")
    classifier.add("crack", added).save(tmp_path / "tiles.fsamc")
    assert "alice/new.png" in {photo.name for photo in classifier.photos}
    assert str(tmp_path).encode() not in (tmp_path / "tiles.fsamc").read_bytes()
    assert classifier.predict(added)[0].nearest == "alice/new.png"


def test_the_package_shows_its_names_and_loads_no_torch():
    code = "import sys, fsamc; assert 'MemoryBank' in dir(fsamc); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_where_it_is_said_to_be():
    import fsamc

    assert [getattr(fsamc, name).__name__ for name in fsamc._WHERE] == [*fsamc._WHERE]
    with pytest.raises(AttributeError, match="nothing"):
        _ = fsamc.nothing


def test_without_a_fit_there_is_nothing_to_ask(tiny_config):
    with pytest.raises(BadInput, match="call fit or load first"):
        DefectClassifier(tiny_config, rows=None).predict(np.zeros((1, 8, 8, 3), np.uint8))


def test_a_plan_s_file_gives_its_base_with_a_small_bank(tiny_config, tmp_path):
    plan = tmp_path / "best.yaml"
    features = f"{{backbone: {tiny_config.features.backbone}, size: 64}}"
    plan.write_text(f"name: x\nbase: {{features: {features}, head: {{kind: ridge}}}}\n")
    config = DefectClassifier(str(plan)).config
    assert (config.head.kind, config.reference.rows, config.reference.ratio) == ("ridge", ROWS, None)
    assert DefectClassifier(str(plan), rows=None).config.reference.ratio == FoldConfig().reference.ratio
    plan.write_text("base: 3")
    with pytest.raises(BadInput, match=r"best\.yaml: is no plan"):
        DefectClassifier(plan)
    with pytest.raises(BadInput, match=r"missing\.yaml"):
        DefectClassifier(tmp_path / "missing.yaml")
