from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fsamc.artifacts.base import Artifact
from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.good_scores import GoodScores
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.normal_statistics import NormalStatistics
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.artifacts.source_rows import SourceRows
from fsamc.artifacts.view_vectors import ViewVectors
from fsamc.config.dotted import updated
from fsamc.data import images
from fsamc.data.category import Category, load_category
from fsamc.data.textures import Textures, load_textures
from fsamc.detectors.base import detector_class
from fsamc.features import extraction
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs
from fsamc.representation.views import IDENTITY
from fsamc.store.store import Store
from tests.fsamc.features.test_patches import long_way
from tests.fsamc.kinds import DETECTORS, changes_to
from tests.fsamc.layouts import TinyNetwork, copy_category, write_textures


def good_set(category: Category, config: FoldConfig) -> FeatureSet:
    pictures = tuple((path,) for path in category.train)
    return FeatureSet(category=category, pictures=pictures, features=config.features, compute=config.compute)


def pseudo_set(category: Category, textures: Textures, config: FoldConfig) -> PseudoSet:
    return PseudoSet(
        category=category, textures=textures, pseudo=config.pseudo, features=config.features, compute=config.compute
    )


def features_by_hand(squares: Sequence[np.ndarray], dim: int) -> np.ndarray:
    """Patch features of square images by the definition, float16 [n, P, D]."""
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    pixels = torch.from_numpy((np.stack(squares) / 255 - mean) / std).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        maps = TinyNetwork()(pixels)
        features = long_way([maps["layer2"].double(), maps["layer3"].double()], dim)
    return features.half().numpy()


def assert_close_halves(found: np.ndarray, expected: np.ndarray) -> None:
    """Equal but for the rounding to float16: a unit in the last place where float32 stood between two."""
    np.testing.assert_allclose(found.astype(np.float32), expected.astype(np.float32), rtol=2e-3, atol=1e-4)


def square_of(category: Category, path: str) -> np.ndarray:
    return images.read_image(category.folder / path)  # 64 x 64 already


@pytest.fixture(scope="module")
def pseudo(tiny_category, tiny_textures, tiny_config) -> PseudoSet:
    return pseudo_set(tiny_category, tiny_textures, tiny_config)


@pytest.fixture(scope="module")
def bank(tiny_category, tiny_config) -> Bank:
    return Bank(good=good_set(tiny_category, tiny_config), reference=tiny_config.reference, seed=1)


def test_features_are_the_definitions(tiny_category, tiny_config, store):
    found = store.get(good_set(tiny_category, tiny_config))["features"]
    assert found.dtype == np.float16
    assert found.shape == (5, 64, 16)
    squares = [square_of(tiny_category, path) for path in tiny_category.train]
    assert_close_halves(found, features_by_hand(squares, 16))


@pytest.mark.parametrize("batch", [1, 2, 3, 5, 99])
def test_a_batch_bounds_the_memory_and_nothing_else(tiny_category, tiny_config, store, batch):
    one = store.get(good_set(tiny_category, updated(tiny_config, {"features.batch": batch})))["features"]
    assert_close_halves(one, store.get(good_set(tiny_category, tiny_config))["features"])


def test_a_picture_of_several_images_is_their_average_pixel_by_pixel(tiny_category, tiny_config, store):
    pictures = (tiny_category.classes["crack"][:3], tiny_category.classes["dent"][:1])
    found = store.get(replace(good_set(tiny_category, tiny_config), pictures=pictures))["features"]
    stacked = np.stack([square_of(tiny_category, path) for path in pictures[0]]).astype(float)
    squares = [np.rint(stacked.mean(0)).astype(np.uint8), square_of(tiny_category, pictures[1][0])]
    assert_close_halves(found, features_by_hand(squares, 16))


def test_features_are_the_same_where_memory_is_short_and_batches_are_halved(
    tiny_category, tiny_config, store, tmp_path, monkeypatch
):
    ample = store.get(good_set(tiny_category, tiny_config))["features"]
    whole, sizes = extraction.patch_features_of, []

    def short_of_memory(maps, *, dim, places):
        sizes.append(len(maps[0]))
        if len(maps[0]) > 2:
            raise torch.OutOfMemoryError
        return whole(maps, dim=dim, places=places)

    monkeypatch.setattr(extraction, "patch_features_of", short_of_memory)
    found = Store(tmp_path / "short").get(good_set(tiny_category, tiny_config))["features"]
    assert_close_halves(found, np.asarray(ample))
    assert max(sizes) > 2
    assert sum(size for size in sizes if size <= 2) == len(found)


def test_features_that_float16_cannot_hold_are_not_kept(tiny_category, tiny_config, store, monkeypatch):
    loud = updated(tiny_config, {"features.batch": 4})
    monkeypatch.setattr(extraction, "patch_features_of", lambda maps, *, dim, places: torch.full((4, 64, dim), 7e4))
    with pytest.raises(ValueError, match="exceed the range of float16"):
        store.get(good_set(tiny_category, loud))
    assert not store.has(good_set(tiny_category, loud))


def test_pseudo_defects_are_class_after_class_and_from_good_images(pseudo, store):
    arrays = store.get(pseudo)
    assert arrays["labels"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert arrays["features"].shape == (12, 64, 16)
    made = list(pseudo.defects())
    assert arrays["sources"].tolist() == [one.source for one in made]
    assert set(arrays["sources"]) <= set(range(5))
    assert_close_halves(arrays["features"], features_by_hand([one.image for one in made], 16))


@pytest.mark.parametrize("kind", DETECTORS)
def test_artifacts_know_their_size_and_what_runs_and_serves_them(tiny_category, pseudo, tiny_config, store, kind):
    settings = updated(tiny_config, changes_to("reference", kind, images=2)).reference
    bank = Bank(good=good_set(tiny_category, tiny_config), reference=settings, seed=3)
    scores = GoodScores(bank=bank, held_out=(1, 4))
    made = nearest, sources = NearestRows(bank=bank, queries=pseudo), SourceRows(good=bank.good, queries=pseudo)
    for artifact, served_by in [
        (bank.good, None),
        (pseudo, None),
        (scores, None),
        (bank, ("tiles", 3)),
        (nearest, ("tiles", 3)),
        (sources, None),
        (NormalStatistics(good=bank.good), None),
        *((ViewVectors(rows=rows, view=IDENTITY, representation=tiny_config.representation), None) for rows in made),
    ]:
        size = sum(array.nbytes for array in store.get(artifact).values())
        assert artifact.nbytes == pytest.approx(size, rel=0.35 if artifact is bank else 0.02)
        assert artifact.served_by == served_by
        assert (artifact.category, artifact.compute) == (tiny_category, tiny_config.compute)


def test_what_an_artifact_needs_comes_before_it(tiny_category, tiny_textures, tiny_config):
    config = updated(tiny_config, {"pseudo.residual": "bank", "support.mean": "image"})
    ordered = FoldInputs(tiny_category, config, seed=1, textures=tiny_textures).artifacts
    keys = [artifact.key for artifact in ordered]
    # good, bank, statistics; test, means and pseudo, and the nearest rows and vectors of these three
    assert len(set(keys)) == len(keys) == 12
    for place, artifact in enumerate(ordered):
        assert {need.key for need in artifact.needs()} <= set(keys[:place])


RAW = {"representation.parts": ["raw"], "representation.scale": "channel", "representation.extent": 0}


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({}, "features bank features nearest vectors pseudo sourcerows vectors statistics"),
        ({"pretrain.enabled": False}, "features bank features nearest vectors statistics"),
        ({"head.kind": "prototype"}, "features bank features nearest vectors statistics"),
        (
            {"support.mean": "image"},
            "features bank features nearest vectors features nearest vectors pseudo sourcerows vectors statistics",
        ),
        (
            {"support.mean": "image", "shots": 1},
            "features bank features nearest vectors pseudo sourcerows vectors statistics",
        ),
        ({"pseudo.residual": "bank"}, "features bank features nearest vectors pseudo nearest vectors statistics"),
        ({**RAW, "head.kind": "prototype"}, "features bank features nearest vectors"),
        (
            {**RAW, "head.kind": "prototype", "representation.extent": 1},
            "features bank features nearest vectors statistics",
        ),
        ({**RAW, "head.pool": "flatten"}, "features bank features nearest pseudo sourcerows"),
        ({"head.pool": "flatten"}, "features bank features nearest pseudo sourcerows statistics"),
    ],
)
def test_a_fold_reads_no_more_than_it_uses(tiny_category, tiny_textures, tiny_config, changes, kinds):
    inputs = FoldInputs(tiny_category, updated(tiny_config, changes), seed=1, textures=tiny_textures)
    assert [artifact.kind for artifact in inputs.artifacts] == kinds.split()


@pytest.fixture
def keys(tiny_category, tiny_textures, tiny_config) -> Callable[..., dict[str, str]]:
    """Keys of a fold's artifacts by what they are, with changes to the tiny configuration."""

    def keys(
        changes: dict[str, Any] | None = None,
        *,
        category: Category = tiny_category,
        textures: Textures = tiny_textures,
        seed: int = 1,
    ) -> dict[str, str]:
        config = updated(tiny_config, {"pseudo.residual": "bank", "detection.enabled": True, **(changes or {})})
        inputs = FoldInputs(category, config, seed=seed, textures=textures)
        named: dict[str, Artifact] = {
            "good": inputs.bank.good,
            "test": inputs.defects,
            "bank": inputs.bank,
            "nearest": inputs.nearest(inputs.defects),
            "pseudo": inputs.pseudo,
            "pseudo nearest": inputs.nearest(inputs.pseudo),
            "good scores": inputs.good_scores,
        }
        return {name: artifact.key for name, artifact in named.items()}

    return keys


def differing(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


OF_NEAREST = {"nearest", "pseudo nearest", "good scores"}
OF_BANK = {"bank", *OF_NEAREST}
OF_PSEUDO = {"pseudo", "pseudo nearest"}
EVERYTHING = {"good", "test", *OF_BANK, *OF_PSEUDO}
CHANGED: dict[str, list[tuple[dict[str, Any], set[str]]]] = {  # by the kind of detector
    "patchcore": [
        ({"features.size": 96}, EVERYTHING),
        ({"features.batch": 3}, EVERYTHING),
        ({"features.fit": "crop", "features.resize": 80}, EVERYTHING),
        ({"features.layers": ["layer2"]}, EVERYTHING),
        ({"compute.threads": 2}, EVERYTHING),
        ({"reference.ratio": 0.2}, OF_BANK),
        ({"reference.kind": "padim"}, OF_BANK),
        ({"detection.held_out": 0.6}, {"good scores"}),
        ({"detection.false_alarms": 0.6}, set()),
        ({"pseudo.residual": "source"}, set()),
        ({"pseudo.beta": [0.1, 0.5]}, OF_PSEUDO),
        ({"pseudo.textures_per_class": 2}, OF_PSEUDO),
        ({"pseudo.foreground": "flood"}, OF_PSEUDO),
        ({"pseudo.foreground": {"tiles": "flood"}}, OF_PSEUDO),
        ({"pseudo.foreground": {"tiles": "whole", "screws": "flood"}}, set()),
        ({"pseudo.segmentation.part": 0.2}, OF_PSEUDO),
        (
            {
                "shots": 3,
                "representation.parts": ["raw"],
                "pretrain.lr": 0.1,
                "finetune.lr": 0.1,
                "head.temperature": 1.0,
            },
            set(),
        ),
    ],
    "padim": [({"reference.channels": 5}, OF_BANK), ({"reference.ridge": 0.1}, OF_BANK)],
    "spade": [({"reference.images": 5}, OF_NEAREST)],
    "cpr": [
        ({"reference.words": 5}, OF_BANK),
        ({"reference.blocks": 2}, OF_BANK),
        ({"reference.images": 5}, OF_NEAREST),
        ({"reference.window": 2}, OF_NEAREST),
    ],
}


@pytest.mark.parametrize(
    ("kind", "changes", "changed"), [(kind, *row) for kind, rows in CHANGED.items() for row in rows]
)
def test_an_artifact_is_another_where_it_depends_on_it_and_only_there(keys, kind, changes, changed):
    base = {"reference.kind": kind}
    assert differing(keys(base), keys(base | changes)) == changed


@pytest.mark.parametrize(
    ("kind", "changed"), [("patchcore", OF_BANK), ("padim", OF_BANK), ("cpr", OF_BANK), ("spade", set())]
)
def test_the_seed_is_in_the_key_of_what_is_drawn(keys, kind, changed):
    base = {"reference.kind": kind}
    assert differing(keys(base), keys(base, seed=2)) == changed


@pytest.mark.parametrize("kind", DETECTORS)
def test_a_detectors_artifacts_are_what_it_says(tiny_category, tiny_config, store, kind):
    config = updated(tiny_config, {**changes_to("reference", kind), "head.kind": "prototype"})
    inputs = FoldInputs(tiny_category, config, seed=1)
    bank, nearest = inputs.bank, store.get(inputs.nearest(inputs.defects))
    features, good = (store.get(one)["features"] for one in (inputs.defects, bank.good))
    learnt = detector_class(config.reference).learn(good, config.reference, seed=bank.seed)
    assert {*store.get(bank)} == {*learnt}
    for name, array in learnt.items():
        np.testing.assert_array_equal(store.get(bank)[name], array)
    distances, indices = detector_class(config.reference)(learnt, good, config.reference).compare(features)
    assert np.array_equal(nearest["distances"], distances)
    assert np.array_equal(nearest["indices"], indices)
    assert (nearest["distances"].dtype, nearest["indices"].dtype) == (np.float32, np.int32)
    assert np.array_equal(bank.load(store).rows, detector_class(config.reference)(learnt, good, config.reference).rows)


def test_equal_content_gives_equal_keys_in_another_process(tmp_path, tiny_category, tiny_textures, tiny_config):
    root = copy_category(tiny_category, tmp_path / "data")
    backbone = shutil.copy(tiny_config.features.backbone, tmp_path / "renamed.pt2")
    textures = shutil.copytree(tiny_textures.folder, tmp_path / "textures")
    config = updated(tiny_config, {"features.backbone": str(backbone)})
    code = """
import sys
from pathlib import Path
from fsamc.fold.config import FoldConfig
from fsamc.data.category import load_category
from fsamc.fold.inputs import FoldInputs
from fsamc.representation.views import IDENTITY
from fsamc.data.textures import load_textures

category, textures = load_category(Path(sys.argv[1]), "tiles"), load_textures(Path(sys.argv[2]))
config = FoldConfig.model_validate_json(sys.argv[3])
inputs = FoldInputs(category, config, seed=1, textures=textures)
key, keys = inputs.key, [artifact.key for artifact in inputs.artifacts]
assert not {"torch", "cv2", "faiss"} & set(sys.modules), "whoever schedules folds should load none of them"
print(key, *keys)
"""
    command = [sys.executable, "-c", code, str(root), str(textures), config.model_dump_json()]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    here = FoldInputs(tiny_category, tiny_config, seed=1, textures=tiny_textures)
    assert found == [here.key, *(artifact.key for artifact in here.artifacts)]


@pytest.mark.parametrize(
    ("file", "changed"),
    [
        ("train/good/002.png", EVERYTHING - {"test"}),
        ("test/hole/004.png", {"test", "nearest"}),
        ("test/good/000.png", set()),
    ],
)
def test_another_image_gives_other_keys(tmp_path, tiny_category, keys, file, changed):
    root = copy_category(tiny_category, tmp_path)
    (root / "tiles" / file).parent.mkdir(exist_ok=True)
    Image.fromarray(255 - images.read_image(tiny_category.folder / "test/crack/000.png")).save(root / "tiles" / file)
    assert differing(keys(), keys(category=load_category(root, "tiles"))) == changed


def test_another_texture_gives_other_pseudo_defects(tmp_path, keys):
    classes = {"banded": 2, "dotted": 2, "woven": 2}
    other = load_textures(write_textures(tmp_path / "other", classes, seed=1))
    assert differing(keys(), keys(textures=other)) == OF_PSEUDO


def test_pseudo_defects_are_a_function_of_their_key(tmp_path, tiny_category, tiny_textures, tiny_config, pseudo):
    """The category's name is what the random numbers are for: under another name there are others."""
    renamed = load_category(copy_category(tiny_category, tmp_path, name="plates"), "plates")
    other = pseudo_set(renamed, tiny_textures, tiny_config)
    drawn = [[one.beta for one in wanted.defects()] for wanted in (pseudo, other)]
    assert drawn[0] != drawn[1]
    assert pseudo.key != other.key
    assert good_set(renamed, tiny_config).key == good_set(tiny_category, tiny_config).key


def test_a_folds_key_knows_seed_draw_groups_and_the_foreground_of_its_category(
    tiny_category, tiny_textures, tiny_config
):
    def key(foreground="whole", *, category=tiny_category, seed=1, draw=0):
        config = updated(tiny_config, {"pseudo.foreground": foreground})
        return FoldInputs(category, config, seed=seed, draw=draw, textures=tiny_textures).key

    keys = [key(), key("flood"), key(seed=2), key(draw=1), key(category=replace(tiny_category, groups={}))]
    assert len(set(keys)) == len(keys)
    assert key() == key({"tiles": "whole"}) == key({"tiles": "whole", "screws": "flood"})
