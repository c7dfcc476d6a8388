"""A whole fold in miniature: images of 64 x 64 pixels, three classes, a network of three convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fsamc.config.compute import Compute
from fsamc.config.dotted import updated
from fsamc.data.category import Category, load_category
from fsamc.data.textures import Textures, load_textures
from fsamc.fold.config import FoldConfig
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.hardware import threads
from fsamc.store.store import Store
from tests.fsamc.layouts import TinyNetwork, export_program, write_category, write_textures

SETTINGS = {
    "features.size": 64,
    "features.dim": 16,
    "reference.projection": 8,
    "views.support": "none",
    "views.queries": "none",
    "pseudo.foreground": "whole",
    "pseudo.per_class": 4,
    "pretrain.pseudo_classes": 3,
    "pretrain.max_rounds": 3,
    "pretrain.stop_threshold": 1.0,
    "pretrain.queries": 6,
    "pretrain.lr": 1e-3,
    "finetune.epochs": {2: 1, 3: 1},
    "finetune.lr": 1e-3,
    "head.kind": "contrastive",
    "head.hidden": (8, 4),
    "head.embedding": 8,
}


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """As in a fold. On images this small more threads only wait for each other."""
    with threads(Compute()):
        yield


@pytest.fixture(scope="session")
def tiny_backbone(tmp_path_factory) -> str:
    """Path of an exported `TinyNetwork`."""
    return export_program(TinyNetwork(), tmp_path_factory.mktemp("backbone") / "tiny.pt2")


@pytest.fixture(scope="session")
def tiny_category(tmp_path_factory) -> Category:
    """Five good images and three defect classes of five; the first of two classes show the same part."""
    groups = {"test/crack/000.png": "part 1", "test/crack/003.png": "part 1", "test/dent/004.png": "part 1"}
    classes = {"crack": 5, "dent": 5, "hole": 5}
    folder = write_category(tmp_path_factory.mktemp("data"), "tiles", good=5, classes=classes, groups=groups)
    return load_category(folder.parent, "tiles")


@pytest.fixture(scope="session")
def tiny_textures(tmp_path_factory) -> Textures:
    """Three texture classes of two images."""
    return load_textures(write_textures(tmp_path_factory.mktemp("textures"), {"banded": 2, "dotted": 2, "woven": 2}))


@pytest.fixture(scope="session")
def tiny_config(tiny_backbone: str) -> FoldConfig:
    """Contrastive head on images as they are, pretrained for three rounds and fine-tuned for one epoch at two shots."""
    return updated(FoldConfig(), {**SETTINGS, "features.backbone": tiny_backbone})


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """One that the tests of a file share."""
    return Store(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def run(tiny_category, tiny_textures, tiny_config, store) -> Callable[..., FoldResult]:
    """Run a fold of the tiny category, or of another, with changes to the tiny configuration."""

    def run(changes: dict[str, Any] | None = None, *, seed: int = 1, **which: Any) -> FoldResult:
        given = {"category": tiny_category, "textures": tiny_textures, "store": store, **which}
        return run_fold(config=updated(tiny_config, changes or {}), seed=seed, **given)

    return run
