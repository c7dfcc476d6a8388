from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from fsamc.config.dotted import updated
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.embeddings import Embeddings, fold_embeddings, principal_coordinates
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.run import run_fold
from fsamc.representation.represented import MapSet, PartsOf, RepresentedSet, VectorSet
from fsamc.store.store import Store

HEADS = ["contrastive", "prototype"]
PAIRS = ["vanilla", "siamese"]


@pytest.fixture
def config(tiny_config) -> FoldConfig:
    return updated(tiny_config, {"finetune.epochs": {2: 5}, "finetune.lr": 1e-2})


@pytest.fixture
def embed(tiny_category, tiny_textures, store):
    def embed(config: FoldConfig, *, seed: int = 1, draw: int = 0, store: Store = store) -> Embeddings:
        inputs = FoldInputs(tiny_category, config, seed=seed, draw=draw, textures=tiny_textures)
        return fold_embeddings(inputs, store)

    return embed


@pytest.mark.parametrize("kind", HEADS + PAIRS)
def test_it_is_the_very_head_that_the_fold_was_scored_with(embed, config, tiny_category, tiny_textures, store, kind):
    config = updated(config, {"head.kind": kind})
    found = embed(config, draw=1)
    scored = run_fold(tiny_category, config, seed=1, draw=1, store=store, textures=tiny_textures)
    queries = ~found.is_support
    assert tuple(found.predicted[queries]) == scored.predicted
    assert tuple(found.labels[queries]) == scored.truth
    assert tuple(path for path, query in zip(found.paths, queries, strict=True) if query) == scored.images
    assert found.classes == scored.classes


def test_the_support_comes_first_with_the_labels_of_its_folders(embed, config, tiny_category):
    found = embed(config, draw=1)
    support = tiny_category.support(2, 1)
    assert found.paths[: found.is_support.sum()] == tuple(path for paths in support.values() for path in paths)
    assert not found.is_support[found.is_support.sum() :].any()
    for path, label in zip(found.paths, found.labels, strict=True):
        assert path.startswith(f"test/{found.classes[label]}/")


@pytest.mark.parametrize("kind", HEADS)
def test_both_heads_embed_on_the_unit_sphere_and_answer_by_cosine(embed, config, kind):
    plain = {"head.centre": 0.0, "representation.extent": 0.0}
    found = embed(updated(config, {"head.kind": kind, **plain}))
    assert np.allclose(np.linalg.norm(found.after, axis=1), 1, atol=1e-5)
    anchors = np.stack([found.after[found.is_support & (found.labels == label)].mean(0) for label in range(3)])
    anchors /= np.linalg.norm(anchors, axis=1, keepdims=True)
    assert np.array_equal((found.after @ anchors.T).argmax(1), found.predicted)


@pytest.mark.parametrize("kind", PAIRS)
def test_of_a_head_that_judges_pairs_there_are_its_answers_about_every_class(embed, config, kind):
    found = embed(updated(config, {"head.kind": kind}))
    assert found.after.shape == (len(found.paths), len(found.classes))
    assert np.array_equal(found.after.argmax(1), found.predicted)


def test_training_moves_what_is_after_the_head_and_not_what_is_before(embed, config):
    trained, other = embed(config), embed(updated(config, {"finetune.epochs": {2: 0}}))
    assert np.array_equal(trained.before, other.before)
    assert not np.allclose(trained.after, other.after, atol=1e-3)


def test_the_same_bit_for_bit_from_another_store(embed, config, tmp_path):
    first, second = embed(config), embed(config, store=Store(tmp_path))
    for field in fields(Embeddings):
        assert np.array_equal(getattr(first, field.name), getattr(second, field.name))


RNG = np.random.default_rng(0)
PATCHES, NORMAL = RNG.normal(size=(9, 6, 5)).astype(np.float16), RNG.normal(size=(4, 5)).astype(np.float16)
PARTS = PartsOf(("residual", "raw"), None, None, "cpu")
SETS = {
    "maps": MapSet(PATCHES, NORMAL, RNG.integers(0, 4, (9, 6)), PARTS),
    "vectors": VectorSet(PATCHES, NORMAL[RNG.integers(0, 4, (9, 6))], np.empty((9, 0), np.float32), PARTS),
}


@pytest.mark.parametrize("images", SETS.values(), ids=SETS)
@pytest.mark.parametrize("part", [1, 40, 1 << 20])
def test_coordinates_keep_every_distance_between_the_flattened_values(monkeypatch, images: RepresentedSet, part):
    monkeypatch.setattr("fsamc.fold.embeddings._PART", 7 * 10 * part)
    rows = [8, 0, 3, 5, 1, 2, 7]
    flat = images.take(rows).values.flatten(1).numpy()
    found = principal_coordinates(images, rows)
    assert found.shape == (7, 6)
    assert np.allclose(distances(found), distances(flat), atol=1e-4)
    spread = found.var(0)
    assert (np.diff(spread) <= 0).all(), "the first axis is the longest"
    assert np.allclose(np.corrcoef(found.T), np.eye(6), atol=1e-4)


def distances(points):
    return np.linalg.norm(points[:, None] - points[None], axis=-1)


def test_a_head_that_sees_images_has_no_maps(embed, config):
    with pytest.raises(BadInput, match=r"head\.kind is direct"):
        embed(updated(config, {"head.kind": "direct", "features.backbone": "resnet18", "features.weights": "random"}))
