"""The bank of a category of many images is chosen among candidates; what is read and kept no longer grows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.config.dotted import updated
from fsamc.data.category import Category
from fsamc.detectors.coreset import choose_bank
from fsamc.detectors.detector_kinds import PatchCoreSettings
from fsamc.detectors.good_images import SomeImages
from fsamc.detectors.patchcore import PatchCore
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig

P, D = 20, 6
WAYS = {"projection": 4, "starts": 3, "seed": 1}


def good(images: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(images, P, D)).astype(np.float16)


class Counted(SomeImages):
    """Counts the patches that are read."""

    read = 0

    def __getitem__(self, key, /):
        found = super().__getitem__(key)
        Counted.read += found.size // D
        return found


def learnt(images: int, candidates: int | None) -> dict[str, np.ndarray]:
    settings = PatchCoreSettings(ratio=0.2, projection=4, starts=3, candidates=candidates)
    return PatchCore.learn(good(images), settings, seed=1)


def test_the_bank_is_the_greedy_choice_among_the_candidates():
    """What is drawn is a set of rows, and the choice among them is that of a category which has no others."""
    features = good(10).reshape(-1, D)
    chosen = choose_bank(features, count=12, candidates=50, **WAYS)
    every = choose_bank(features, count=50, candidates=50, **WAYS)
    among = np.sort(every)
    assert len({*among.tolist()}) == 50
    assert np.array_equal(chosen, every[:12])
    assert np.array_equal(chosen, among[choose_bank(features[among], count=12, **WAYS)])


def test_no_more_patches_than_candidates_change_nothing():
    for candidates in (None, 200, 201):
        for name, kept in learnt(10, 200).items():
            assert np.array_equal(learnt(10, candidates)[name], kept)


def test_candidates_are_drawn_by_the_seed():
    one, again, other = (
        choose_bank(good(10).reshape(-1, D), count=50, candidates=50, **{**WAYS, "seed": seed}) for seed in (1, 1, 2)
    )
    assert np.array_equal(one, again)
    assert {*one.tolist()} != {*other.tolist()}


def test_what_is_read_and_kept_does_not_grow_with_the_images():
    settings = PatchCoreSettings(ratio=0.2, projection=4, starts=3, candidates=50)
    for images in (10, 100, 1000):
        Counted.read = 0
        kept = PatchCore.learn(Counted(good(images), np.arange(images)), settings, seed=1)
        assert Counted.read == 50 + 10
        assert len(kept["rows"]) == 10
        assert PatchCore.bytes_kept(settings, (images, P, D)) == kept["rows"].nbytes


def test_more_rows_than_candidates_are_refused():
    with pytest.raises(BadInput, match=r"found rows 11 and candidates 10.*raise reference\.candidates"):
        updated(FoldConfig(), {"reference.ratio": None, "reference.rows": 11, "reference.candidates": 10})


def bank(images: int, candidates: int | None = 400_000) -> Bank:
    paths = tuple(f"train/good/{number:05}.png" for number in range(images))
    category = Category(
        folder=Path("bolt"),
        name="bolt",
        train=paths,
        good=(),
        classes={},
        masks={},
        groups={},
        digests=dict.fromkeys(paths, "same"),
    )
    changes = {"features.backbone": "resnet18", "features.weights": "random", "reference.candidates": candidates}
    config = updated(FoldConfig(), changes)
    pictures = tuple((path,) for path in paths)
    features = FeatureSet(category=category, pictures=pictures, features=config.features, compute=config.compute)
    return Bank(good=features, reference=config.reference, seed=1)


def test_candidates_are_part_of_the_key_where_they_are_a_limit():
    few, many = 510, 511  # images of 28 x 28 patches, below and above 400,000
    assert bank(few).key == bank(few, None).key == bank(few, 1_000_000).key
    assert bank(many).key != bank(many, None).key == bank(many, 1_000_000).key
    assert bank(many).key != bank(many, 300_000).key


def test_where_they_are_a_limit_it_is_said():
    assert bank(510).limit is None
    assert bank(20_000).limit == (
        "bolt: 20,000 good images are many; the bank is chosen among 400,000 of their patches, drawn by the seed "
        "(reference.candidates)"
    )


def test_patches_are_counted_by_the_finest_layer():
    """Of a layer that is no ResNet's as many as there may be, so that no key leaves out what is a limit."""
    features = bank(1).good.features
    counts = {"layer1": 56**2, "layer2": 28**2, "layer3": 14**2, "layer4": 7**2, "blocks.1": 56**2}
    for name, count in counts.items():
        assert features.model_copy(update={"layers": (name,)}).most_patches == count
    learner = replace(
        bank(511), good=replace(bank(511).good, features=updated(FoldConfig(), {"features.size": 112}).features)
    )
    assert learner.limit is None
