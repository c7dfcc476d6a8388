"""Checks of photos: one in the wrong class, classes that are one, a mask beside the defect, the class to go on with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsamc.classifier.fitting import FitInputs, Fitted, fit_category
from fsamc.classifier.photo_checks import CheckSettings, PhotoFinding, check_anomaly_maps, check_photos
from fsamc.config.dotted import updated
from fsamc.data.category import Category, load_category
from fsamc.fold.config import FoldConfig
from fsamc.store.store import Store
from tests.fsamc.layouts import write_category

Fit = Callable[[Category], Fitted]


@pytest.fixture
def config(tiny_config) -> FoldConfig:
    return updated(tiny_config, {"head.kind": "prototype", "representation.patches": 8})


@pytest.fixture
def fit(config, store) -> Fit:
    return lambda category: fit_category(category, config, seed=1, store=store, textures=None, tell=str)


def written(root: Path, *, moved: bool = False, **settings) -> Category:
    """Three classes of four; `moved`: a dent lies among the cracks."""
    folder = write_category(root, "tiles", good=5, classes={"crack": 4, "dent": 4, "hole": 4}, **settings)
    if moved:
        (folder / "test" / "dent" / "003.png").rename(folder / "test" / "crack" / "dent.png")
    return load_category(root, "tiles")


def of_kind(findings, kind: str) -> list[PhotoFinding]:
    return [finding for finding in findings if finding.kind == kind]


def test_a_photo_in_the_wrong_class_is_named(fit, tmp_path):
    right, wrong = (written(tmp_path / name, moved=moved) for name, moved in (("right", False), ("wrong", True)))
    assert not of_kind(check_photos(fit(right), CheckSettings()), "mislabelled")
    (finding,) = of_kind(check_photos(fit(wrong), CheckSettings()), "mislabelled")
    assert finding.about == "test/crack/dent.png"
    assert "is in crack, but the other photos name it dent" in finding.text


def test_two_classes_that_are_one_look_alike(fit, tmp_path):
    category = written(tmp_path)
    crack = category.classes["crack"]
    split = replace(category, classes={"crack": crack[:2], "chip": crack[2:], "hole": category.classes["hole"]})
    alike = of_kind(check_photos(fit(split), CheckSettings(confused=0.25)), "alike")
    assert [finding.about for finding in alike] == ["crack and chip"]
    assert not of_kind(check_photos(fit(category), CheckSettings(confused=0.25)), "alike")


def test_the_next_photo_is_of_the_class_that_is_named_worst(fit, tmp_path):
    """A class of one photo cannot be named by others at all; 9 photos carry an error rate of 0.1."""
    category = written(tmp_path)
    few = {"crack": 2, "dent": 2, "hole": 1}
    some = replace(category, classes={name: category.classes[name][:n] for name, n in few.items()})
    (finding,) = of_kind(check_photos(fit(some), CheckSettings()), "next photo")
    assert finding.about == "hole"
    assert "1 photo, 0% of them named rightly" in finding.text
    assert "4 more in all" in finding.text
    (finding,) = of_kind(check_photos(fit(category), CheckSettings()), "next photo")
    assert "more in all" not in finding.text


def test_a_mask_beside_the_defect_is_told(config, store: Store, tmp_path):
    category = written(tmp_path, masks=True)
    moved = category.folder / category.masks["test/crack/001.png"]
    inputs = FitInputs(category, config, seed=1)
    assert not list(check_anomaly_maps(inputs, store, CheckSettings()))
    mask = np.asarray(Image.open(moved))
    assert mask.any()
    Image.fromarray(np.roll(mask, (32, 32), (0, 1))).save(moved)
    (finding,) = check_anomaly_maps(inputs, store, CheckSettings())
    assert (finding.about, finding.photos) == ("crack", ("test/crack/001.png",))
    assert "1 of 4 photos with a mask" in finding.text
