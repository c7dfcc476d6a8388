"""Pictures before work starts: copies, formats that are not read, dark ones, and files that change later."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from fsamc.errors import BadInput
from fsamc.features.backbone import load_backbone
from fsamc.features.squares import read_squares
from fsamc.store.store import Store
from sweeps.checks.pictures import remember_pictures
from tests.sweeps.checks.test_bad_input import own, prepared, reencoded  # noqa: F401 a fixture
from tests.sweeps.small import Lab


@pytest.mark.parametrize("same", ["bytes", "pixels"])
def test_copies_are_one_group_and_a_caveat(own: Lab, same):  # noqa: F811
    source, copy = "cap/test/crack/000.png", "cap/test/crack/004.png"
    shutil.copy(own.data / source, own.data / copy) if same == "bytes" else reencoded(source, copy)(own)
    ready = prepared(own)
    assert ready.caveats == (
        "cap: 1 of 20 images is a copy of another, such as test/crack/004.png of test/crack/000.png; "
        "copies count as one group, never on both sides",
    )
    cap = ready.categories["cap"]
    assert cap.queries(2)["crack"] == ("test/crack/002.png", "test/crack/003.png")
    (fold, *_) = ready.folds(ready.plan.base)
    assert fold.inputs(ready.categories, ready.textures).category == cap


def test_what_lies_beside_the_images_is_told(own: Lab):  # noqa: F811
    for name in ("cap/test/crack/IMG_1.heic", "cap/test/crack/IMG_2.HEIC", "cap/train/good/x.gif"):
        (own.data / name).write_bytes(b"x")
    shutil.copytree(own.data / "tile", own.data / "archive/nut")
    dark = np.arange(4096, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(dark).save(own.data / "tile/test/chip/004.png")
    assert prepared(own).warnings == (
        f"{own.data}/tile/test/chip/004.png is nearly black: its values end at 4095 of 65535; if these are 12 bits, "
        "multiply by 16",
        f"cap: 3 pictures of formats that are not read (gif, heic), the first {own.data}/cap/train/good/x.gif; "
        "save them as png or jpg",
        f"{own.data}/archive/nut: a category that is one folder too deep is not read",
    )


def test_what_was_examined_is_not_decoded_again(own: Lab, monkeypatch):  # noqa: F811
    reencoded("cap/test/crack/000.png", "cap/test/crack/004.png")(own)
    first = prepared(own)
    remember_pictures(first.examined, Store(own.root / "cache"))
    monkeypatch.setattr("sweeps.checks.pictures.examine_all", None)
    monkeypatch.setattr("sweeps.checks.feature_range.read_squares", None)
    again = prepared(own)
    assert (again.caveats, again.fingerprint) == (first.caveats, first.fingerprint)


def test_an_image_or_texture_that_has_changed_stops_the_build_and_is_named(own: Lab):  # noqa: F811
    ready = prepared(own)
    for images, path in ((ready.categories["cap"], "test/dent/001.png"), (ready.textures, "woven/000.png")):
        assert len(read_squares(images, [path], ready.plan.base.features)) == 1
        shutil.copy(own.data / "tile/test/chip/003.png", images.folder / path)
        with pytest.raises(BadInput, match=f"{path}: has changed since it was read first"):
            read_squares(images, [path], ready.plan.base.features)


def test_a_backbone_that_has_changed_stops_its_folds_and_is_named(own: Lab):  # noqa: F811
    net = own.root / "net.pt2"
    shutil.copy(own.backbone, net)
    ready = prepared(Lab(own.data, own.textures, net, own.root))
    fold = ready.folds(ready.plan.base)[0]
    fold.inputs(ready.categories, ready.textures)
    net.write_bytes(net.read_bytes() + b" ")
    for changed in (fold, ready.folds(ready.plan.base)[0]):
        with pytest.raises(BadInput, match=r"net\.pt2: has changed since the sweep began"):
            changed.inputs(ready.categories, ready.textures)


def test_a_backbone_that_changes_while_it_is_read_is_not_loaded(own: Lab, monkeypatch):  # noqa: F811
    net = own.root / "net.pt2"
    shutil.copy(own.backbone, net)
    ready = prepared(Lab(own.data, own.textures, net, own.root))
    load_backbone.__globals__["_loaded"].cache_clear()
    monkeypatch.setattr("pathlib.Path.read_bytes", lambda path: b"other bytes")
    with pytest.raises(BadInput, match=r"net\.pt2: has changed since it was hashed"):
        load_backbone(ready.plan.base.features, "cpu")
