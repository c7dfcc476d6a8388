from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fsamc.config.features import Features
from fsamc.data.category import Category, load_category
from fsamc.data.demo_data import write_demo
from fsamc.data.demo_products import PRODUCTS
from fsamc.data.examination import examine_all
from fsamc.data.folders import find_categories
from fsamc.data.images import read_image, read_mask
from fsamc.data.inspection import inspect_category
from fsamc.data.textures import load_textures
from fsamc.errors import BadInput
from fsamc.seeds import numpy_generator


@pytest.fixture(scope="module")
def demo(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder, train=6, good=2)
    return folder


@pytest.fixture(scope="module")
def categories(demo) -> list[Category]:
    return [load_category(demo / "datasets", name) for name in find_categories(demo / "datasets")]


def test_the_demo_is_a_sound_data_folder(demo, categories):
    assert [category.name for category in categories] == ["bottle_cap", "fabric", "metal_plate"]
    for category in categories:
        assert (len(category.train), len(category.good)) == (6, 2)
        assert [len(paths) for paths in category.classes.values()] == [12] * 4
        assert set(category.masks) == set(category.defects)
        problems = inspect_category(demo / "datasets", category.name, Features())[1]
        assert problems == []  # among others: no two files alike, every mask of its image's size and not empty


def test_five_shots_are_possible_everywhere(categories):
    assert [category.problem(5) for category in categories] == [None] * 3


def test_the_textures_are_ten_classes_that_differ(demo):
    textures = load_textures(demo / "textures")
    assert [len(paths) for paths in textures.classes.values()] == [2] * 10
    assert len(set(textures.digests.values())) == 20
    examine_all(textures)


def test_one_category_is_grey_and_oblong_and_shows_each_piece_twice(demo, categories):
    fabric = categories[1]
    with Image.open(fabric.folder / fabric.train[0]) as picture:
        assert picture.mode == "L"
        assert picture.width != picture.height
    assert set(fabric.groups) == set(fabric.images)
    for paths in (fabric.train, *fabric.classes.values()):
        groups = [fabric.group(path) for path in paths]
        half = len(groups) // 2
        assert len(set(groups)) == half
        assert groups[:half] == groups[half:]
    first, again, other = (read_image(fabric.folder / f"train/good/{n:03}.jpg").astype(float) for n in (0, 3, 1))
    assert np.corrcoef(first.ravel(), again.ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(first.ravel(), other.ravel())[0, 1]) < 0.5


def test_the_same_seed_writes_the_same_files_and_another_does_not(tmp_path):
    def written(name: str, seed: int) -> dict[Path, bytes]:
        write_demo(tmp_path / name, seed=seed, train=1, good=1, per_class=1, textures=1)
        return {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}

    a, c = written("a", 3), written("b", 4)
    assert written("b", 3) == a, "also over what is there"
    pictures = [path for path in a if path.suffix != ".csv"]
    assert all(a[path] != c[path] for path in pictures)


@pytest.mark.parametrize(("product", "defect"), [(p, d) for p in PRODUCTS for d in PRODUCTS[p].defects])
def test_a_defect_changes_its_mask_and_little_else(product, defect):
    for number in range(4):
        random = numpy_generator("test", product, defect, number)
        scene = PRODUCTS[product].render(random)
        before = scene.pixels.copy()
        mask = PRODUCTS[product].defects[defect](scene, random)
        changed = np.abs(scene.pixels - before).max(axis=2)
        assert mask.dtype == bool
        assert 4 < mask.sum() < 0.2 * mask.size
        assert changed[mask].mean() > 0.02
        assert changed[~mask].mean() < 0.1 * changed[mask].mean()
        assert changed[~scene.foreground].sum() < 0.1 * changed.sum()


def test_places_and_sizes_vary(categories):
    for category in categories:
        for paths in category.classes.values():
            masks = [read_mask(category.folder / category.masks[path]) for path in paths]
            pieces = masks[: len(masks) // PRODUCTS[category.name].exposures]
            assert all((a & b).sum() < 0.8 * (a | b).sum() for a, b in combinations(pieces, 2))
            assert max(mask.sum() for mask in pieces) > 1.3 * min(mask.sum() for mask in pieces)


def test_a_folder_that_cannot_be_written_is_bad_input(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match=r"file: cannot write there \(.+\); choose another folder$"):
        write_demo(tmp_path / "file")
