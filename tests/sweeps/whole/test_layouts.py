"""The layouts of MVTec AD and MVTec 3D AD through the command line, with everything that hangs on them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from sweeps.results.reader import SweepReader
from tests.fsamc.layouts import TinyNetwork, export_program, write_category, write_category_3d, write_textures
from tests.sweeps.small import PLAN, Lab, fsamc, notes

BASE = PLAN["base"] | {
    "head": PLAN["base"]["head"] | {"kind": "contrastive"},
    "pseudo": {"mask": "polygon", "foreground": {"nut": "flood_centre"}, "per_class": 2},
    "pretrain": PLAN["base"]["pretrain"] | {"pseudo_classes": 8},
    "finetune": {"epochs": {2: 2}, "lr": 1e-3},
}
TRIALS = {0: "false", 1: "true"}  # `good`


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    """`nut` in the layout of MVTec AD; `bagel` and `tire`, which is too small for five shots, in that of 3D AD."""
    root = tmp_path_factory.mktemp("layouts")
    write_category(root / "data", "nut", classes={"bent": 7, "scratch": 6}, test_good=6, masks=True)
    write_category_3d(root / "data", "bagel", classes={"crack": 6, "hole": 7}, test_good=6)
    write_category_3d(root / "data", "tire", classes={"combined": 5, "cut": 7}, test_good=7)
    write_textures(root / "textures", {"banded": 1, "dotted": 1})
    export_program(TinyNetwork(), root / "tiny.pt2")
    return Lab(root / "data", root / "textures", root / "tiny.pt2", root)


@pytest.fixture(scope="module")
def out(lab) -> Path:
    """A sweep over shots and `good`, with pretraining on polygons: 2 textures x 4 numbers of sides."""
    space = {"good": {"choice": [False, True]}}
    return lab.sweep(lab.plan(base=BASE, space=space, folds={"seeds": [1], "shots": [2, 5]}))


@pytest.mark.ray
@pytest.mark.slow
def test_good_is_one_more_class_where_it_is_asked_for(out):
    folds = SweepReader(out).folds
    assert {trial: of.iloc[0]["good"] for trial, of in folds.groupby("trial")} == TRIALS
    assert set(folds["status"]) == {"ok"}
    queries = folds.set_index(["trial", "shots", "category"])["queries"]
    assert [queries[trial, shots, "nut"] for shots in (2, 5) for trial in TRIALS] == [13 - 4, 19 - 6, 13 - 10, 19 - 15]
    asked = pd.read_csv(out / "predictions.csv")
    good = asked[asked["truth"] == "good"]
    assert set(good["trial"]) == {1}
    assert set(good.loc[(good["shots"] == 2) & (good["category"] == "bagel"), "image"]) == {
        f"test/good/rgb/{number:03}.png" for number in range(2, 6)
    }
    support = pd.read_csv(out / "support.csv")
    assert set(support.loc[support["image"].str.startswith("test/good/"), "good"]) == {True}
    assert set(asked.loc[asked["category"] != "nut", "image"].str.split("/").str[2]) == {"rgb"}


@pytest.mark.ray
@pytest.mark.slow
def test_pretraining_on_polygons_builds_each_category_once_whatever_the_shots_and_the_classes(out):
    assert notes(out)["builds"]["pseudo"] == 3
    resolved = yaml.safe_load((out / "plan.yaml").read_text())["base"]["pseudo"]["foreground"]
    assert list(resolved) == ["bagel", "nut", "tire"]
    assert resolved["nut"] == "flood_centre"
    assert "auto" not in resolved.values()


@pytest.mark.parametrize("parts", [{"base": BASE | {"good": True}}, {"space": {"good": {"choice": [False, True]}}}])
def test_a_category_without_good_test_images_stops_a_sweep_with_good_before_it_starts(lab, tmp_path, capsys, parts):
    write_category(tmp_path / "data", "cap", classes={"crack": 4, "dent": 4})
    asked = Lab(tmp_path / "data", lab.textures, lab.backbone, tmp_path)
    assert fsamc(*asked.words(asked.plan(**{"space": {}, **parts}))) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "cap/test/good: no images" in line
    assert "set good=false" in line
    assert not (tmp_path / "out").exists()


def test_dtd_that_cannot_be_downloaded_is_bad_input_and_a_folder_of_that_name_is_taken(
    lab, tmp_path, capsys, monkeypatch
):
    def fail(*given, **more):
        raise OSError("network is unreachable")

    monkeypatch.setattr("torchvision.datasets.dtd.download_and_extract_archive", fail)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    here = Lab(lab.data, Path("dtd"), lab.backbone, tmp_path)
    words = here.words(here.plan(base=BASE, space={}), "--dry-run")
    assert fsamc(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    for part in ("network is unreachable", "dtd-r1.0.1.tar.gz", f"unpack it in {tmp_path}/cache/fsamc-textures"):
        assert part in line
    write_textures(tmp_path / "dtd" / "images", {"banded": 1, "dotted": 1})
    assert fsamc(*words) == 0
