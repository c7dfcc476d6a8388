"""An embedded Ray with two CPUs, and what small folds are made of."""

from __future__ import annotations

import time

import pytest
import ray

from cluster.folds import Fold, Materials
from fsamc.config.dotted import updated, validated
from fsamc.config.kinds import without_other_kinds
from fsamc.data.category import load_category
from fsamc.data.textures import load_textures
from fsamc.fold.config import FoldConfig
from tests import one_ray
from tests.sweeps.small import PLAN


@pytest.fixture
def started() -> None:
    """A Ray with two CPUs, on which nobody else's actors are left."""
    one_ray.up()
    end = time.monotonic() + 20
    while ray.util.list_named_actors(all_namespaces=True) and time.monotonic() < end:
        time.sleep(0.1)
    if time.monotonic() >= end:  # what pytest keeps of a test that failed holds its actors
        one_ray.down()
        one_ray.up()


@pytest.fixture(scope="session")
def base(materials) -> FoldConfig:
    config = validated(FoldConfig, without_other_kinds(FoldConfig, PLAN["base"]))
    return updated(config, {"features.backbone": str(materials / "tiny.pt2"), "features.precision": "fp32"})


@pytest.fixture
def shared(materials, tmp_path) -> Materials:
    return Materials(
        categories={name: load_category(materials / "data", name) for name in ("cap", "tile")},
        textures=load_textures(materials / "textures"),
        store=tmp_path / "store",
        results=(tmp_path / "results",),
        run="test",
        gpus=0.0,
        workers=2,
    )


@pytest.fixture
def fold(base):
    """A fold of the base with some values changed."""

    def fold(category: str = "cap", seed: int = 1, **values) -> Fold:
        dotted = {key.replace("__", "."): value for key, value in values.items()}
        return Fold(category=category, seed=seed, draw=0, config=updated(base, dotted))

    return fold
