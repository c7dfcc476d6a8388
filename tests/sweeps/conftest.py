"""Two small categories, textures and a network, for whole sweeps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fsamc.layouts import TinyNetwork, export_program, write_category, write_textures
from tests.sweeps.small import Lab


@pytest.fixture(scope="session")
def materials(tmp_path_factory) -> Path:
    """A folder with `data`, `textures` and `tiny.pt2`. Nobody writes to it."""
    root = tmp_path_factory.mktemp("materials")
    write_category(root / "data", "cap", good=5, classes={"crack": 5, "dent": 5, "hole": 5})
    write_category(root / "data", "tile", good=4, classes={"blot": 5, "chip": 5})
    write_textures(root / "textures", {"banded": 1, "dotted": 1, "woven": 1})
    export_program(TinyNetwork(), root / "tiny.pt2")
    return root


@pytest.fixture
def lab(materials: Path, tmp_path: Path) -> Lab:
    return Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path)
