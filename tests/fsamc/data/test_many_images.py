"""Categories of many images, and folders of many pictures: what is done grows with what is asked for."""

from __future__ import annotations

from itertools import count, islice
from pathlib import Path

import numpy as np
import pytest
from natsort import natsorted
from PIL import Image

from fsamc.classifier import pictures
from fsamc.classifier.pictures import named_pictures, read_ahead
from fsamc.config.features import Features
from fsamc.data import folders
from fsamc.data.category import Category
from fsamc.data.folders import image_files
from fsamc.data.groups import joined
from fsamc.features import squares
from fsamc.features.squares import Squares


def category(images: int, *, groups: dict[str, str] | None = None) -> Category:
    paths = {name: tuple(f"test/{name}/{number}.png" for number in range(images)) for name in ("dent", "hole")}
    return Category(
        folder=Path("bolt"),
        name="bolt",
        train=("a",),
        good=(),
        classes=paths,
        masks={},
        groups=groups or {},
        digests={},
    )


def test_joined_groups_are_those_that_are_connected():
    """As the components of a graph; each has the name that the first of its images had."""
    generator = np.random.default_rng(0)
    for _ in range(50):
        groups = {f"p{i}": f"g{generator.integers(6)}" for i in generator.choice(30, 8, replace=False)}
        same = [tuple(f"p{i}" for i in generator.choice(30, 3, replace=False)) for _ in range(generator.integers(1, 9))]
        found = joined(groups, same)
        edges = [(a, b) for a, *others in same for b in others]
        edges += [(a, b) for a in groups for b in groups if groups[a] == groups[b]]
        label = {path: path for path in found}
        for _ in range(len(label)):
            for a, b in edges:
                label[a] = label[b] = min(label[a], label[b])
        for a in found:
            for b in found:
                assert (found[a] == found[b]) == (label[a] == label[b])
    assert joined({"b": "part"}, [("a", "b"), ("c", "d"), ("d", "a")]) == dict.fromkeys("abcd", "c")


@pytest.mark.parametrize(
    "names",
    [
        ["10.png", "9.png", "1.png", "01.png", "1.jpg"],
        ["a-1.png", "a01.png", "a1.png", "A1.png"],
        ["007.png", "010.png", "001.png"],
        ["t2_n10.png", "t1_n11.png", "t2_n09.png"],
        ["b.png", "a.png", "ä.png", "c²3.png"],
    ],
)
def test_natural_order_is_natsorts(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    assert image_files(tmp_path, ".") == tuple(f"./{name}" for name in natsorted(sorted(names)))


def test_a_folders_pictures_come_before_its_inner_folders_are_read(tmp_path, monkeypatch):
    for number in range(5):
        (tmp_path / f"day {number}").mkdir()
        (tmp_path / f"day {number}" / "1.png").touch()
    listed = []
    entries = folders._entries
    monkeypatch.setattr(folders, "_entries", lambda folder: listed.append(folder.name) or entries(folder))
    names = named_pictures(tmp_path)
    for number, picture in enumerate(names):
        assert Path(picture.name).parent.name == f"day {number}"
        assert f"day {number + 1}" not in listed


def test_no_more_than_the_next_batch_is_decoded_ahead(tmp_path, monkeypatch):
    """Of pictures without end, as a generator gives them."""
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "1.png")
    taken, decoded = count(), []
    endless = (tmp_path / "1.png" for _ in taken)
    read = pictures.read_image
    monkeypatch.setattr(pictures, "read_image", lambda path: decoded.append(path) or read(path))
    batches = read_ahead(named_pictures(endless), 3, np.asarray)
    for number, batch in enumerate(islice(batches, 4), 1):
        assert len(batch) == 3
        assert len(decoded) <= 3 * (number + 1)
    batches.close()
    assert next(taken) <= 3 * 6


def test_only_the_squares_that_are_asked_for_are_read(tmp_path, monkeypatch):
    paths = []
    for number in range(6):
        paths.append(f"{number}.png")
        Image.fromarray(np.full((8, 8, 3), 40 * number, np.uint8)).save(tmp_path / paths[-1])
    read = []
    monkeypatch.setattr(
        squares,
        "read_squares",
        lambda _, names, features: read.append(*names) or np.full((1, 8, 8, 3), int(names[0][0])),
    )
    some = Squares(category(2), paths, Features(size=32))
    assert len(some) == 6
    assert [int(some[place][0, 0, 0]) for place in (4, 2, 4, -1)] == [4, 2, 4, 5]
    assert read == ["4.png", "2.png", "5.png"]
    with pytest.raises(IndexError):
        some[6]
