"""Whole sweeps on files that change after they were hashed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fsamc.store.store import Store
from sweeps.run import SweepRun
from tests import one_ray
from tests.sweeps.small import Lab, fsamc

PLAN = {"space": {}, "folds": {"categories": ["tile"], "seeds": [1]}, "search": {"trials": 1}}


@pytest.mark.slow
@pytest.mark.ray
def test_an_image_that_changes_midway_stops_the_build_and_nothing_is_kept_of_it(
    materials: Path, tmp_path: Path, monkeypatch, capfd
):
    shutil.copytree(materials / "data" / "tile", tmp_path / "data" / "tile")
    lab = Lab(tmp_path / "data", materials / "textures", materials / "tiny.pt2", tmp_path)
    image, run = "test/chip/001.png", SweepRun.run

    def change_and_run(self: SweepRun) -> None:
        """Runs after the images were hashed and examined, and before a worker decodes any."""
        shutil.copy(tmp_path / "data/tile/train/good/000.png", tmp_path / "data/tile" / image)
        run(self)

    monkeypatch.setattr(SweepRun, "run", change_and_run)
    one_ray.up()
    assert fsamc(*lab.words(lab.plan(**PLAN))) == 1
    told = " ".join("".join(capfd.readouterr()).split())
    assert f"tile/{image}: has changed since it was read first" in told
    kept = {kind for kind, _, _ in Store(tmp_path / "cache").entries()}
    assert not kept & {"features", "fold"}, kept
