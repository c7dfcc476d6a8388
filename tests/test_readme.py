"""The README does what it says: commands run, the plan is valid, the head works, the picture of the code is whole."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import yaml

from fsamc.data.category import load_category
from fsamc.detectors.residual import Maps
from fsamc.fold.config import FoldConfig
from fsamc.fold.run import run_fold
from fsamc.heads import HEADS, Entry
from fsamc.store.store import Store
from sweeps.plan.load import load_plan
from tests.fsamc.layouts import TinyNetwork, export_program, write_category, write_textures
from tests.ray_cluster import RayCluster

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
FSAMC = Path(sys.executable).with_name("fsamc")
SMALL = "base.features.size=64"
IN_HEADS = {"anomalous.py", "encoder.py", "pairs.py", "sums.py"}
SHORT = ["base.pseudo.per_class=2", "base.pretrain.max_rounds=1", "base.finetune.epochs={2: 1}"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), "console blocks hold commands only: nothing else is checked"
    return [shlex.split(line.removeprefix("$ ")) for line in lines]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """What the README's reader has: images, textures, the plan of the README; and a backbone that is quick."""
    here = tmp_path_factory.mktemp("reader")
    write_category(here / "images", "bolt", good=4, classes={"dent": 6, "scratch": 6})
    write_textures(here / "textures", {f"class_{n}": 1 for n in range(10)})
    (plan,) = blocks("yaml")
    (here / "example.yaml").write_text(plan)
    export_program(TinyNetwork(), here / "tiny.pt2")
    return here


def run(folder: Path, command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def on_small_input(command: list[str]) -> list[str]:
    """The command as printed, with what makes a sweep short and its cache a passing one."""
    if command[:2] != ["fsamc", "sweep"]:
        return [str(FSAMC), *command[1:]]
    short = SHORT if "smoke" in command else ["--dry-run"]  # one real sweep is enough
    return [str(FSAMC), *command[1:], SMALL, *short, "--backbone", "tiny.pt2", "--cache", "cache"]


@pytest.mark.slow
@pytest.mark.ray
def test_the_commands_run_one_after_the_other(folder):
    ours = [command for command in commands() if command[0] == "fsamc" and "--address" not in command]
    shown = {shlex.join(command[1:3]): run(folder, on_small_input(command)) for command in ours}
    assert "bolt: up to 5 shots" in shown["data inspect"]
    assert shown["pseudo preview"].split() == ["previews/bolt-whole.png"]
    assert "base.head.patches" in shown["plan show"]
    assert "40 trials" in shown["plan check"]
    assert shown["report results"].strip() == "results/report.html"
    table = TEXT.partition("`results` then holds")[2].partition("\n\n")[2].partition("\n\n")[0]
    files = [
        file for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for file in re.findall(r"`(.*?)`", cell)
    ]
    assert {"folds.csv", "report.html", "mlflow.db"} < set(files)
    for file in files:
        assert (folder / "results" / file).exists(), f"{file} is in the README's table"
    assert not (folder / "results-40").exists(), "--dry-run writes nothing"


@pytest.mark.slow
@pytest.mark.ray
def test_the_command_for_a_cluster_joins_one(folder):
    (command,) = (command for command in commands() if "--address" in command)
    with RayCluster(cpus=1) as cluster:
        there = [cluster.gcs if word == "HEAD:6379" else word for word in on_small_input(command)]
        assert "4 trials" in run(folder, [*there, "--dry-run"], cluster.environment)


def test_make_has_the_targets():
    targets = [command for command in commands() if command[0] == "make"]
    assert {command[1] for command in targets} == {"demo", "ui"}
    for command in targets:
        run(ROOT, [*command, "--dry-run"])


def test_there_is_a_command_of_no_other_kind():
    assert {command[0] for command in commands()} == {"make", "fsamc"}


def test_the_plan_is_valid_and_says_what_the_text_says(folder):
    plan = load_plan(str(folder / "example.yaml"))
    assert plan.name == "example"
    assert plan.search.algorithm == "optuna"
    forms = {form for given in plan.space.values() for form in given.model_fields_set}
    assert forms == {"integers", "loguniform", "choice"}


def test_the_head_is_one_file_and_one_line(folder, monkeypatch):
    file, line = blocks("python")
    module = ModuleType("fsamc.heads.mean")
    exec(compile(file, "README.md", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, "fsamc.heads.mean", module)
    for kind, entry in eval(f"{{{line}}}", {"Entry": Entry}).items():
        monkeypatch.setitem(HEADS, kind, entry)
    plan = load_plan("smoke", ["base.head.kind=mean", "space.head.kind={choice: [mean, prototype]}"])
    assert plan.space["head.kind"].choice == ("mean", "prototype")
    config = FoldConfig.model_validate(
        {"features": {"backbone": str(folder / "tiny.pt2"), "size": 64, "precision": "fp32"}, "head": {"kind": "mean"}}
    )
    result = run_fold(load_category(folder / "images", "bolt"), config, seed=1, store=Store(folder / "head_cache"))
    assert (result.head, result.queries) == ("mean", 8)
    head = module.MeanHead(config.head, patches=2, dim=2, generator=torch.Generator())
    encoded = head.encode(Maps(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]]), torch.zeros(1, 2)))
    assert torch.allclose(encoded, torch.tensor([[0.6, 0.8]]))
    assert torch.allclose(head.relate(encoded, torch.tensor([[2.0, 0.0], [0.6, 0.8]])), torch.tensor([[0.6, 1.0]]))


@pytest.mark.parametrize("package", ["fsamc", "cluster", "sweeps"])
def test_the_picture_of_the_code_names_every_file_and_no_other(package):
    part = re.search(rf"^    {package}/ (.*?)(?=^    \w|^\S)", TEXT, re.DOTALL | re.MULTILINE)
    named = set(re.findall(r"\b[a-z_]+(?:\.py|/(?=\s))", part[1])) - IN_HEADS
    entries = [path for path in (ROOT / package).iterdir() if not path.name.startswith("__")]
    assert named == {f"{path.name}/" if path.is_dir() else path.name for path in entries if path.suffix in ("", ".py")}


def test_links_and_pictures_are_there():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_presets_are_those_there_are():
    tables = {f"table{number}" for number in range(1, 14) if number != 6}
    named = {"demo", "smoke", "paper-small", "contrastive-vs-vanilla"}
    assert "`table1` to `table13` are presets" in TEXT
    assert {path.stem for path in (ROOT / "sweeps" / "presets").glob("*.yaml")} == tables | named
    for preset in named:
        assert preset in TEXT
    for preset in tables | named:
        assert yaml.safe_load((ROOT / "sweeps" / "presets" / f"{preset}.yaml").read_text())["name"] == preset
