"""Vectors of the views, and what they are made of, against the definitions: all patches, all views, one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.artifacts.ground_truth import Masks
from fsamc.config.dotted import updated
from fsamc.data.category import Category, load_category
from fsamc.errors import BadInput
from fsamc.features.extraction import square_features
from fsamc.fold.inputs import FoldInputs
from fsamc.representation.region import anomalous_patches, masked_patches, ranked
from fsamc.representation.views import IDENTITY, VIEWS
from tests.fsamc.kinds import DETECTORS, changes_to
from tests.fsamc.layouts import export_program, write_category

BASE = {"head.kind": "prototype", "representation.patches": 8, "views.support": "all", "views.queries": "none"}


@pytest.fixture(scope="module")
def category(tmp_path_factory) -> Category:
    """Two classes of three images, with masks."""
    folder = write_category(
        tmp_path_factory.mktemp("data"), "tiles", good=5, classes={"crack": 3, "dent": 3}, masks=True
    )
    return load_category(folder.parent, "tiles")


Inputs = Callable[..., FoldInputs]


@pytest.fixture
def inputs(category, tiny_config, tiny_textures) -> Inputs:
    """A fold's inputs with changes to a prototype fold in all views."""

    def inputs(changes: Mapping[str, Any] | None = None, *, category: Category = category) -> FoldInputs:
        config = updated(tiny_config, {**BASE, **(changes or {})})
        return FoldInputs(category, config, seed=1, textures=tiny_textures)

    return inputs


UNIFORM, MASKS = {"representation.weights": "uniform"}, {"representation.region": "masks"}


@pytest.mark.parametrize(
    ("kind", "region"), [*((kind, {}) for kind in DETECTORS), ("patchcore", UNIFORM), ("padim", MASKS)], ids=str
)
def test_vectors_are_the_definitions(inputs, store, kind, region):
    """The picture's weights, turned with it, on all patches of the turned picture and on what is normal there."""
    fold = inputs({**changes_to("reference", kind, images=2), **region})
    rows, detector = fold.nearest(fold.defects), fold.bank.load(store)
    distances = store.get(rows)["distances"]
    if "representation.region" in region:
        places, weights = masked_patches(Masks(fold.defects).shares(64))
    else:
        places, weights = anomalous_patches(distances, fold.config.representation)
    assert [vectors.view for vectors in fold.vectors(rows)] == [*VIEWS["all"]]
    for vectors in fold.vectors(rows):
        arrays = store.get(vectors)
        assert {name: (array.shape, array.dtype) for name, array in arrays.items()} == {
            "patches": ((6, 16), np.float32),
            "normal": ((6, 16), np.float32),
            "ranked": ((6, 7), np.float32),
        }
        assert np.array_equal(arrays["ranked"], ranked(distances))
        turned = np.stack([vectors.view.of(fold.defects.square(row)) for row in range(6)])
        features = square_features(turned, fold.config.features, "cpu")
        normal = detector.rows[detector.compare(features)[1]].astype(np.float32)
        for row in range(6):
            weight_map = np.zeros(64, np.float32)
            weight_map[places[row]] = weights[row]
            there = vectors.view.of(weight_map.reshape(8, 8)).ravel()
            np.testing.assert_allclose(arrays["patches"][row], there @ features[row].astype(np.float32), atol=2e-3)
            np.testing.assert_allclose(arrays["normal"][row], there @ normal[row], atol=2e-3)


class Pooling(nn.Module):
    """A network that knows no direction: what it sees of a turned picture is what it sees, turned."""

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        eighth = F.avg_pool2d(torch.cat([images, images.square()], 1), 8)
        return {"layer2": eighth, "layer3": F.avg_pool2d(eighth, 2)}


def test_to_a_network_without_direction_all_views_are_one(inputs, store, tmp_path):
    backbone = export_program(Pooling(), tmp_path / "pooling.pt2")
    fold = inputs({"features.backbone": backbone, "features.dim": 6, "representation.patches": 5})
    views = [store.get(vectors) for vectors in fold.vectors(fold.nearest(fold.defects))]
    for name, spread in (("patches", 0.1), ("normal", 0.01)):
        for arrays in views:
            np.testing.assert_allclose(arrays[name], views[0][name], atol=1e-3)
        assert views[0][name].std(0).max() > spread, "but not all pictures"


@pytest.mark.parametrize(("support", "queries"), [("none", "none"), ("flips", "turns"), ("none", "flips")])
def test_views_are_those_of_support_and_queries_the_untouched_first(inputs, support, queries):
    views = inputs({"views.support": support, "views.queries": queries}).views
    assert views[0] == IDENTITY
    assert {*views} == {*VIEWS[support], *VIEWS[queries]}
    assert len({*views}) == len(views)


def test_pseudo_defects_are_seen_as_they_are(inputs, store):
    fold = inputs({"scoring.measure": ("pseudo",), "pseudo.per_class": 8})
    for rows in (fold.nearest(fold.pseudo), fold.pseudo_rows()):
        (vectors,) = fold.vectors(rows)
        assert vectors.view == IDENTITY
        found, features = store.get(vectors), store.get(fold.pseudo)["features"].astype(np.float32)
        distances, indices = (store.get(rows)[name] for name in ("distances", "indices"))
        places, weights = anomalous_patches(distances, fold.config.representation)
        normal = rows.normal(store).astype(np.float32)[indices]
        for row in range(len(features)):
            np.testing.assert_allclose(found["patches"][row], weights[row] @ features[row, places[row]], rtol=1e-5)
            np.testing.assert_allclose(found["normal"][row], weights[row] @ normal[row, places[row]], rtol=1e-5)


def test_a_source_row_is_the_clean_patch_below(inputs, store):
    fold = inputs({"scoring.measure": ("pseudo",), "pseudo.per_class": 8})
    rows = fold.pseudo_rows()
    found, pseudo, good = store.get(rows), store.get(fold.pseudo), store.get(fold.bank.good)["features"]
    below = rows.normal(store)[found["indices"]]
    assert np.array_equal(below, good[pseudo["sources"]])
    apart = np.linalg.norm(pseudo["features"].astype(float) - below, axis=-1)
    np.testing.assert_allclose(found["distances"], apart, rtol=1e-5)


def test_statistics_are_over_all_good_patches(inputs, store):
    fold = inputs()
    found, good = store.get(fold.statistics), store.get(fold.bank.good)["features"].reshape(-1, 16).astype(float)
    np.testing.assert_allclose(found["mean"], good.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found["covariance"], np.cov(good.T, bias=True), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "changed"),
    [
        ({"views.support": "flips"}, set()),
        ({"representation.patches": 9}, {"vectors", "means", "pseudo", "sources"}),
        ({"representation.weights": "uniform"}, {"vectors", "means", "pseudo", "sources"}),
        ({"representation.parts": ["raw"]}, set()),
        ({"representation.scale": "channel"}, set()),
        ({"representation.shrinkage": 0.5}, set()),
        ({"representation.extent": 0.0}, set()),
        ({"reference.ratio": 0.5}, {"vectors", "means", "pseudo"}),
        ({"head.kind": "ridge"}, set()),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
def test_vectors_are_others_where_the_region_or_the_rows_are_and_only_there(inputs, changes, changed):
    def keys(changes: Mapping[str, Any]) -> dict[str, set[str]]:
        fold = inputs({"scoring.measure": ("pseudo",), "pseudo.per_class": 8, "support.mean": "image", **changes})
        rows = {"vectors": fold.nearest(fold.defects), "means": fold.nearest(fold.averages)}
        rows |= {"pseudo": fold.nearest(fold.pseudo), "sources": fold.pseudo_rows()}
        assert fold.statistics.key == inputs().statistics.key
        return {name: {vectors.key for vectors in fold.vectors(one)} for name, one in rows.items()}

    before, after = keys({}), keys(changes)
    assert [len(before[name]) for name in before] == [8, 8, 1, 1], "a key for each view"
    assert {name for name in before if not before[name] >= after[name]} == changed


def test_shares_of_patches_that_a_mask_covers(inputs, category):
    """Masks of 21 x 21 pixels on patches of 8 x 8."""
    fold = inputs()
    shares = Masks(fold.defects).shares(64)
    for row, path in enumerate(category.defects):
        mask = np.array(Image.open(category.folder / category.masks[path])) > 0
        np.testing.assert_allclose(shares[row], mask.reshape(8, 8, 8, 8).mean((1, 3)).ravel(), atol=1e-6)


def test_other_masks_are_another_region_and_none_is_an_error(inputs, tmp_path):
    def key(category: Category) -> str:
        fold = inputs(MASKS, category=category)
        return fold.vectors(fold.nearest(fold.defects))[0].key

    folder = write_category(tmp_path, "tiles", good=5, classes={"crack": 3, "dent": 3}, masks=True)
    before, mask = key(load_category(tmp_path, "tiles")), folder / "ground_truth/crack/000_mask.png"
    Image.fromarray(np.ones((64, 64), bool)).save(mask)
    assert key(load_category(tmp_path, "tiles")) != before
    mask.unlink()
    with pytest.raises(BadInput, match=r"crack/000\.png: no mask below ground_truth.*or set representation\.region=an"):
        key(load_category(tmp_path, "tiles"))


def test_an_average_of_images_has_no_mask(inputs):
    fold = inputs({**MASKS, "support.mean": "image"})
    with pytest.raises(BadInput, match=r"averaged pixel by pixel have no mask.*set support\.mean=embedding or"):
        _ = fold.artifacts


def test_pseudo_defects_have_their_anomaly_for_a_mask(inputs):
    pseudo = {"scoring.measure": ("pseudo",), "pseudo.per_class": 8}
    plain, masked = (inputs({**pseudo, "representation.region": region}) for region in ("anomaly", "masks"))
    ways = [(fold.nearest(fold.pseudo), fold.pseudo_rows()) for fold in (plain, masked)]
    for one, other in zip(*ways, strict=True):
        assert [vectors.key for vectors in plain.vectors(one)] == [vectors.key for vectors in masked.vectors(other)]
