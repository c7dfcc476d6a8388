from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from fsamc.fold.embeddings import Embeddings
from sweeps.figures.tsne import draw_tsne, places
from tests.sweeps.small import fsamc


def cloud(n: int, dim: int, classes: tuple[str, ...] = ("dent", "hole"), seed: int = 0) -> Embeddings:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(classes)
    return Embeddings(
        before=rng.normal(size=(n, dim)).astype(np.float32),
        after=(rng.normal(size=(n, dim)) + 30 * labels[:, None]).astype(np.float32),
        labels=labels,
        is_support=np.arange(n) < len(classes),
        predicted=rng.integers(0, len(classes), n),
        classes=classes,
        paths=tuple(map(str, range(n))),
    )


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


def draw(images: Embeddings) -> np.ndarray:
    return pixels(draw_tsne(images, title="a $b$ title", before="maps", after="embeddings", seed=1))


# --- t-SNE


@pytest.mark.parametrize("n", [3, 4, 120])
def test_any_number_of_images_has_a_place_in_the_plane_the_same_on_every_call(n):
    points = cloud(n, 5).before
    placed = places(points, 1)
    assert placed.shape == (n, 2)
    assert np.isfinite(placed).all()
    assert np.array_equal(places(points, 1), placed)
    assert not np.array_equal(places(cloud(n, 5, seed=1).before, 1), placed)


def test_neighbours_stay_neighbours():
    images = cloud(80, 6)
    placed = places(images.after, 1)
    distances = np.linalg.norm(placed[:, None] - placed[None], axis=-1) + np.diag(np.full(80, np.inf))
    assert (images.labels[distances.argmin(1)] == images.labels).mean() > 0.95


def test_a_picture_changes_with_a_label_and_with_an_answer_and_with_nothing_else():
    images = cloud(30, 4)
    picture = draw(images)
    assert np.array_equal(picture, draw(images))
    for changed in ("labels", "predicted", "is_support"):
        other = {**vars(images), changed: np.roll(getattr(images, changed), 1)}
        assert not np.array_equal(picture, draw(Embeddings(**other))), changed


def test_long_names_of_classes_make_room_for_themselves():
    words = ("dent", "hole", "scratch", "crack", "stain", "chip", "fray")
    named = draw(cloud(30, 4, tuple(f"{word} of a considerable length, with a $dollar$" for word in words)))
    for edge in (named[:, :3], named[:, -3:], named[:3], named[-3:]):
        assert (edge == 255).all(), "something is cut off"


# --- of a sweep


def test_a_folder_without_a_sweep_or_without_its_materials_is_told(lab, tmp_path, capfd):
    assert fsamc("figures", tmp_path) == 2
    assert "holds no sweep (no plan.yaml)" in capfd.readouterr().err
    (tmp_path / "plan.yaml").write_text(lab.plan().read_text())
    (tmp_path / "sweep.json").write_text(json.dumps({"run": "x"}))
    assert fsamc("figures", tmp_path) == 2
    assert "give --data and --cache" in capfd.readouterr().err
