from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.small import Lab, write_materials


@pytest.fixture(scope="session")
def materials(tmp_path_factory) -> Path:
    return write_materials(tmp_path_factory.mktemp("materials"))


@pytest.fixture
def lab(materials: Path, tmp_path: Path) -> Lab:
    return Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path)
