"""Keys of artifacts as they are on users' disks: another key means that everything is built anew."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.good_scores import GoodScores
from fsamc.artifacts.nearest_rows import NearestRows
from fsamc.artifacts.normal_statistics import NormalStatistics
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.artifacts.source_rows import SourceRows
from fsamc.artifacts.turned_good import TurnedGood
from fsamc.artifacts.view_vectors import ViewVectors
from fsamc.config.dotted import updated
from fsamc.data.category import Category
from fsamc.data.textures import Textures
from fsamc.fold.config import FoldConfig
from fsamc.representation.views import IDENTITY, VIEWS


def paths(folder: str, count: int) -> tuple[str, ...]:
    return tuple(f"{folder}/{number:03}.png" for number in range(count))


CLASSES = {"crack": paths("test/crack", 3), "dent": paths("test/dent", 3)}
TRAIN, GOOD = paths("train/good", 4), paths("test/good", 2)
CATEGORY = Category(
    folder=Path("tiles"),
    name="tiles",
    train=TRAIN,
    good=GOOD,
    classes=CLASSES,
    masks={},
    groups={},
    digests={path: f"digest of {path}" for path in (*TRAIN, *GOOD, *CLASSES["crack"], *CLASSES["dent"])},
)
BANDED, DOTTED = paths("banded", 2), paths("dotted", 2)
TEXTURES = Textures(
    folder=Path("textures"),
    classes={"banded": BANDED, "dotted": DOTTED},
    digests={path: f"digest of {path}" for path in (*BANDED, *DOTTED)},
)
CONFIG = updated(FoldConfig(), {"features.backbone": "resnet18", "features.weights": "random"})


def features(*pictures: tuple[str, ...]) -> FeatureSet:
    return FeatureSet(category=CATEGORY, pictures=pictures, features=CONFIG.features, compute=CONFIG.compute)


def pseudo(mask: str) -> PseudoSet:
    return PseudoSet(
        category=CATEGORY,
        textures=TEXTURES,
        pseudo=updated(CONFIG, {"pseudo.mask": mask, "pseudo.foreground": "flood"}).pseudo,
        features=CONFIG.features,
        compute=CONFIG.compute,
    )


def test_a_feature_set():
    assert features(*((path,) for path in TRAIN)).key == "38a8fe97c80e1137be174fb01246784e"
    assert features(CLASSES["crack"][:2], CLASSES["dent"][:2]).key == "3cb52448712b848ae8e3accfd360a32c"


def test_a_pseudo_set():
    assert pseudo("poisson").key == "070b5631c7f2f269b887697d7b199e53"
    assert pseudo("perlin").key == "7363f0efc7b8ce02114cb8fbe3555595"
    assert pseudo("polygon").key == "49a104afadbea669346b2ccbfc02671f"


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (
            "patchcore",
            "77d563a2e5297d4ef9a8744e58bf54d6 7eead635b77e0fd6bc618c9f8eaef566 95b15785a003d72edd04513ff963a432",
        ),
        ("padim", "c165cff79ba85c6f2314af66bfc91014 0689d730db09dac1c42278072adb1936 721f52f55c82680c401f778e7bd7faf0"),
        ("spade", "71cd2da4cdac3c509ebeb8be157e5673 d8ab33129412f80e168c66395362dfcd 1f7fbda924f357f6a75511b84f83b522"),
        ("cpr", "4bbeb8112f98282e197d73c0c97d58e5 0f2c21927cd3fc82440e60d465dfa693 9f48fdb5787e3f3c00ee9d3606bbf332"),
    ],
)
def test_a_bank_its_nearest_rows_and_its_scores_of_good_images(kind, keys):
    good = features(*((path,) for path in TRAIN))
    reference = updated(CONFIG, {"reference.kind": kind}).reference
    bank = Bank(good=good, reference=reference, seed=0 if kind == "spade" else 1)
    nearest, scores = NearestRows(bank=bank, queries=pseudo("polygon")), GoodScores(bank=bank, held_out=(1, 3))
    assert [bank.key, nearest.key, scores.key] == keys.split()


def test_scores_of_turned_good_images():
    bank = Bank(good=features(*((path,) for path in TRAIN)), reference=CONFIG.reference, seed=1)
    assert TurnedGood(bank=bank, most=3).key == "a7e47a646537f3176930c9ae62bc965b"


def test_statistics_source_rows_and_vectors():
    good = features(*((path,) for path in TRAIN))
    nearest = NearestRows(bank=Bank(good=good, reference=CONFIG.reference, seed=1), queries=good)
    sources = SourceRows(good=good, queries=pseudo("polygon"))
    flipped, settings = VIEWS["flips"][2], CONFIG.representation
    assert NormalStatistics(good=good).key == "ebab2a52ecf4960d7717b1b0042d4c3a"
    assert sources.key == "0a5bad7b8b9a3e35a63677e987c1f0d0"
    assert ViewVectors(rows=nearest, view=flipped, representation=settings).key == "3c0ecfb956cf0dcddaa5405376db3972"
    assert ViewVectors(rows=sources, view=IDENTITY, representation=settings).key == "322e1d896d83757436fac46e6a2eb3a0"
