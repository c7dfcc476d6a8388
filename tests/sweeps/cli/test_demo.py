from __future__ import annotations

import io
import re
import shutil
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from mlflow.tracking import MlflowClient

from fsamc.config.features import Features
from fsamc.data import demo_data
from fsamc.data.demo_data import write_demo
from fsamc.errors import BadInput
from fsamc.features.networks import torchvision_resnet
from fsamc.features.weights import origin
from sweeps.best_trial import BestTrial
from sweeps.cli import demo
from sweeps.plan.load import load_plan
from tests import one_ray
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.small import fsamc, notes

CHANGES = [
    "folds.categories=[bottle_cap]",
    "base.features.size=64",
    "base.views={support: none, queries: none}",
    "folds.shots=[1]",
    "base.pseudo.per_class=2",
    "base.pretrain={pseudo_classes: 2, max_rounds: 1}",
    "space.representation.scale=null",
    "folds.seeds=[1]",
]


def run(folder: Path, patch: pytest.MonkeyPatch) -> str:
    """The screen of the demo, on fewer images and where ImageNet's weights cannot be had, whatever this machine has."""

    def nowhere(name: str) -> None:
        raise BadInput(f"the ImageNet weights of {name} are nowhere: place them")

    patch.setattr(torchvision_resnet, "_pretrained", nowhere)
    patch.setattr(demo_data, "write_demo", partial(write_demo, train=3, good=1, per_class=4, textures=1))
    patch.setenv("COLUMNS", "160")
    patch.chdir(folder)
    one_ray.up()
    with redirect_stdout(io.StringIO()) as screen:
        assert fsamc("demo", *CHANGES) == 0
    return screen.getvalue()


def run_twice(tmp_path_factory, patch: pytest.MonkeyPatch) -> tuple[Path, str, str]:
    """The demo's folder after a second demo in it, and the screens of both.

    The second goes on in a copy of the folder: within one process, MLflow holds on to a database that is removed.
    """
    folder, again = tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("again")
    first = run(folder, patch)
    shutil.copytree(folder, again, dirs_exist_ok=True)
    return again / "demo", first, run(again, patch)


@pytest.fixture(scope="module")
def shown(tmp_path_factory) -> tuple[Path, str, str]:
    """Two demos whose folds answer at once, without figures."""
    with pytest.MonkeyPatch.context() as patch, folds_that_sleep(report=True):
        patch.setattr(BestTrial, "draw_figures", lambda _: False)
        return run_twice(tmp_path_factory, patch)


@pytest.mark.ray
def test_the_backbone_that_served_stands_wherever_a_number_is(shown):
    folder, first, second = shown
    (line,) = [each for each in first.splitlines() if "nowhere" in each]
    assert line.startswith("warning the ImageNet weights of resnet50 are nowhere: place them; going on with ")
    served = origin(Features(backbone="efficientnet_lite2"))
    assert served.endswith("Apache-2.0")
    assert all(f"backbone {served}" in screen for screen in (first, second))
    assert load_plan(str(folder / "out" / "plan.yaml")).base.features.backbone == "efficientnet_lite2"
    for report in ("report.md", "report.html"):
        assert served in (folder / "out" / report).read_text()
    client = MlflowClient(f"sqlite:///{folder / 'out' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("demo")
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 1 + 2, "the sweep and its trials"
    assert {each.data.tags["backbone"] for each in runs} == {served}


@pytest.mark.ray
def test_the_screen_ends_with_the_report_and_the_line_that_opens_mlflow(shown):
    _, _, second = shown
    report, figures, opens = second.splitlines()[-3:]
    assert report.split() == ["report", "demo/out/report.html"]
    assert figures.split() == ["figures", "fsamc", "figures", "demo/out"]
    assert opens.split() == ["MLflow", "fsamc", "ui", "demo/out"]


@pytest.mark.ray
def test_a_second_demo_starts_again_and_says_so_and_takes_the_folds_from_the_cache(shown):
    folder, first, second = shown
    assert "starting again" not in first
    assert second.splitlines()[0] == "demo/out holds an earlier demo: starting again, with what demo/cache keeps"
    assert len(pd.read_csv(folder / "out" / "folds.csv")) == 2, "a fold of each trial, once"
    assert (notes(folder / "out")["folds_reused"], notes(folder / "out")["folds"]) == (2, 2)
    summary = [next(line for line in text.splitlines() if line.startswith("│     0 │")) for text in (first, second)]
    assert summary[0] == summary[1]


@pytest.mark.slow
@pytest.mark.ray
def test_a_real_demo_draws_figures_and_a_second_one_builds_nothing(tmp_path_factory, monkeypatch):
    folder, first, second = run_twice(tmp_path_factory, monkeypatch)
    builds = [re.findall(r"│ build \w+ +│ +(\d+) │", text) for text in (first, second)]
    assert {*builds[0]} - {"0"}
    assert {*builds[1]} == {"0"}
    assert [path.name for path in (folder / "out" / "figures").glob("*-tsne.png")] == ["bottle_cap-tsne.png"]


def test_data_are_there_whole_or_not_at_all(tmp_path, monkeypatch):
    def dies_half_way(folder):
        write_demo(folder, train=1, good=1, per_class=1, textures=1)
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_data, "write_demo", dies_half_way)
    with pytest.raises(KeyboardInterrupt):
        demo._data(tmp_path / "data")
    assert not (tmp_path / "data").exists()
    monkeypatch.setattr(
        demo_data, "write_demo", lambda folder: write_demo(folder, train=2, good=1, per_class=1, textures=1)
    )
    assert demo._data(tmp_path / "data") == tmp_path / "data"
    assert len(list((tmp_path / "data" / "datasets" / "bottle_cap" / "train" / "good").iterdir())) == 2
    monkeypatch.setattr(demo_data, "write_demo", dies_half_way)
    demo._data(tmp_path / "data")  # whole already: nothing is written


def test_a_folder_that_holds_no_demo_is_left_as_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo_data, "write_demo", partial(write_demo, train=3, good=1, per_class=4, textures=1))
    (tmp_path / "demo" / "out").mkdir(parents=True)
    (tmp_path / "demo" / "out" / "thesis.tex").write_text("years of work")
    assert fsamc("demo", *CHANGES) == 2
    assert "demo/out: is not empty and holds no sweep" in capsys.readouterr().err
    assert (tmp_path / "demo" / "out" / "thesis.tex").read_text() == "years of work"
