"""Every block of every page works: commands and Python run in order, plans are valid, the rest is linted."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from fsamc.data import demo_data
from fsamc.data.demo_data import write_demo
from sweeps.cli import app
from sweeps.estimate.measure import Measured
from sweeps.plan.load import load_plan
from tests import one_ray
from tests.docs.pages import ROOT, Block, anchors, blocks, links, pages
from tests.fsamc.layouts import TinyNetwork, export_program, write_category, write_textures
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.small import fsamc

# What makes a reader's sweep short: the words are those of the page, the images, the network and the rounds are small.
SMALL = ["base.features.size=64", "base.features.dim=16"]
SHORT = [*SMALL, "base.pseudo.per_class=4", "base.pretrain.max_rounds=1"]
SHORT += ["base.finetune.epochs={2: 1}", "--backbone", "tiny.pt2"]
RESULTS = "fsamc sweep smoke --data images --textures textures --out results"
REASONS = {"docker", "a cluster", "kubectl", "sbatch", "ssh", "a cloud", "MLflow", "the network", "an environment"}
REASONS |= {"a browser", "an hour"}
PAGES = {page: str(page.relative_to(ROOT)) for page in pages()}
HEAD_PAGE = ROOT / "docs" / "how-to" / "add-a-head.md"
CARRIED = {ROOT / "docs" / "how-to" / "docker.md", ROOT / "docs" / "how-to" / "manifests.md"}
SLOW = {"deploy.md"}
# Pages that are not about what folds find.
SLEEPING = {"search.md", "tutorial.md", "few-photos.md", "after-a-kill.md", "own-images.md"}


@pytest.fixture(scope="session")
def reader(tmp_path_factory) -> Path:
    """What a reader has: images, textures, a network, and in `results` the one sweep that all pages share."""
    here = tmp_path_factory.mktemp("reader")
    write_category(here / "images", "bolt", good=4, classes={"dent": 6, "scratch": 6})
    write_textures(here / "textures", {f"class_{n}": 1 for n in range(10)})
    export_program(TinyNetwork(), here / "tiny.pt2")
    with pytest.MonkeyPatch.context() as patch:
        enter(here, patch)
        assert fsamc(*short(shlex.split(RESULTS))) == 0
    return here


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Work in the reader's folder, with a cache there and a Ray that stays up.

    Dry runs measure no fold, and of demo data there is a part.
    """
    patch.setattr("sweeps.estimate.estimate.measure", lambda *_, **__: Measured())
    patch.setattr(demo_data, "write_demo", partial(write_demo, train=6, good=1, per_class=6, textures=1))
    patch.chdir(folder)
    patch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    patch.setenv("COLUMNS", "160")
    one_ray.up()


def short(command: list[str]) -> list[str]:
    """Take the words after `fsamc`; a sweep gets what makes it short, and figures are drawn once, for `results`."""
    words = command[1:]
    if words[0] in ("fit", "check"):
        return words + SMALL + SHORT[-2:]
    if words[0] != "sweep":
        return words
    figures = [] if "results" in words or "--dry-run" in words else ["--no-figures"]
    if words[1].startswith("-"):  # it goes on with what OUT holds
        return words + figures
    return words + (SHORT if "--backbone" not in words else SHORT[:-2]) + figures


def matches(line: str, printed: str) -> bool:
    """Whether a line of a page is among those printed: figures and spaces may differ, and `…` is anything."""
    words = re.split(r"(\d[\d.]*|…|\s+)", line.strip())
    pattern = "".join(
        ".*" if word == "…" else r"[\d.]+" if word[:1].isdigit() else r"\s+" if word.isspace() else re.escape(word)
        for word in words
    )
    return re.search(pattern, printed) is not None


@pytest.mark.ray
@pytest.mark.parametrize(
    "page", [pytest.param(page, id=PAGES[page], marks=[pytest.mark.slow] * (page.name in SLOW)) for page in PAGES]
)
def test_the_blocks_of_a_page_run_in_order(page, request, monkeypatch, capsys):
    runnable = [block for block in blocks(page) if block.runs and page != HEAD_PAGE]
    if runnable:
        enter(request.getfixturevalue("reader"), monkeypatch)
    scope: dict[str, object] = {"__name__": "page"}
    with folds_that_sleep() if page.name in SLEEPING else nullcontext():
        for block in runnable:
            work(block, page, scope, capsys)


def work(block: Block, page: Path, scope: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    """Do what a block says; Python goes on with the names of the blocks before it."""
    if block.language == "console":
        for command, printed in block.commands():
            run(command, printed, block, capsys)
    elif block.language == "python":
        exec(compile("\n" * block.line + block.text, str(page), "exec"), scope)
    else:
        assert block.language == "yaml", f"{block.name}: `{block.language}`; mark it, or write console, python, yaml"
        check_plan(block)


def run(command: str, printed: list[str], block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a command as printed; of `make`, only whether there is such a target."""
    words = shlex.split(command)
    if words[0] == "make":
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
        return
    assert words[0] == "fsamc", f"{block.name}: `{command}` is no command of ours; mark the block"
    capsys.readouterr()
    code = fsamc(*short(words))
    shown = capsys.readouterr()
    assert code == 0, f"{block.name}: {command}\n{shown.out}\n{shown.err}"
    for line in printed:
        assert matches(line, shown.out), f"{block.name}: {command} does not print `{line}`:\n{shown.out}"


def check_plan(block: Block) -> None:
    """A plan is valid; one that begins with `# NAME.yaml` is a file that later commands read."""
    name = re.match(r"# (\S+\.yaml)\n", block.text)
    file = Path(name[1] if name else "block.yaml")
    file.write_text(block.text)
    assert fsamc("plan", "check", file) == 0, block.name
    load_plan(str(file))


@pytest.mark.parametrize("page", PAGES, ids=PAGES.values())
def test_what_does_not_run_here_says_why_and_is_linted(page, tmp_path):
    for block in blocks(page):
        if block.runs:
            continue
        assert block.mark.removeprefix("not run: needs ") in REASONS, f"{block.name}: {block.mark}"
        assert block.language in ("console", "sh"), block.name
        lines = block.text.replace("\\\n", " ").splitlines()
        if block.language == "console":
            lines = [command for command, _ in block.commands()]
        script = tmp_path / "block.sh"
        script.write_text("\n".join(["#!/bin/bash", "set -e", *lines, ""]))
        for lint in (["bash", "-n"], [str(Path(sys.executable).with_name("shellcheck")), "--exclude=SC2034,SC1091"]):
            done = subprocess.run([*lint, str(script)], capture_output=True, text=True)
            assert done.returncode == 0, f"{block.name}\n{done.stdout}{done.stderr}"
        for line in lines:
            parse(shlex.split(line.partition(" > ")[0]))


def parse(words: list[str]) -> None:
    """Check the words and options of a command of ours, wherever on the line it begins, and run nothing."""
    if words[0] == "make":
        subprocess.run([*words, "--dry-run"], cwd=ROOT, check=True, capture_output=True)
    command: Any = get_command(app)
    for place, word in enumerate(words):
        if Path(word).name == "fsamc.sbatch":
            words = ["sweep", *words[place + 1 :]]
            break
        if word == "fsamc" and words[place + 1 : place + 2] and words[place + 1] in command.commands:
            words = words[place + 1 :]
            break
    else:
        return
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(command.name, words)
    if command.name == "submit":  # it takes what `sweep` takes
        get_command(app).commands["sweep"].make_context("sweep", context.args)


@pytest.mark.parametrize("page", PAGES, ids=PAGES.values())
def test_links_lead_somewhere(page):
    """Within the site MkDocs looks too; here also the pages that are read in the repository."""
    for target in links(page):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        generated = there.parent == ROOT / "docs" / "reference" or there in CARRIED
        assert there.exists() or generated, f"{page}: {target}"
        assert not anchor or generated or anchor in anchors(there), f"{page}: {target}"


@pytest.mark.slow
def test_the_head_of_the_page_is_swept_beside_others_and_its_knob_bites(tmp_path):
    """In a copy, where the page's lines are put where it says."""
    for name in ("fsamc", "sweeps", "cluster", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    network, settings, knob = (block.text for block in blocks(HEAD_PAGE) if block.language == "python")
    (tmp_path / "fsamc" / "heads" / "mean.py").write_text(network)
    union, suite = tmp_path / "fsamc/heads/head_kinds.py", tmp_path / "tests/fsamc/fold/test_knobs.py"
    text = union.read_text().replace("AnyHead =", f"{settings}\n\nAnyHead =")
    union.write_text(text.replace("    | VanillaSettings", "    | MeanSettings\n    | VanillaSettings"))
    (tmp_path / "mean.yaml").write_text(next(block.text for block in blocks(HEAD_PAGE) if block.language == "yaml"))
    shown = in_copy(tmp_path, "-m", "sweeps", "plan", "show", "mean.yaml")
    assert yaml.safe_load(shown)["space"]["head.power"] == {"choice": [0.5, 1.0, 2.0], "when": {"head.kind": ["mean"]}}
    checks = ["-m", "pytest", "-v", "-p", "no:cacheprovider", str(suite), "-k", "every_field_is_declared or power"]
    assert "head.power" in in_copy(tmp_path, *checks, expected=1)
    suite.write_text(suite.read_text().replace("# What a kind needs", f"{knob}\n# What a kind needs"))
    assert "[mean head.power=2.0] PASSED" in in_copy(tmp_path, *checks)


def in_copy(folder: Path, *words: str, expected: int = 0) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run([sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == expected, done.stdout + done.stderr
    return done.stdout


def test_the_table_of_files_names_what_a_sweep_leaves(reader):
    """Apart from what only some sweeps write."""
    page = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page.partition("\n## Events")[0].partition("Exit")[0], re.MULTILINE)
    named = {file.rstrip("/") for row in rows for file in re.findall(r"`(.*?)`", row)}
    left = {path.name for path in (reader / "results").iterdir() if not path.name.endswith(".lock")}
    assert left <= named
    of_a_final = {"final.csv", "final_folds.csv", "final_predictions.csv"}
    assert named - left == {"objectives.csv", "detection.csv", "study.db", "classifiers"} | of_a_final
