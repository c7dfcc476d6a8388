"""The wheel: built from a copy of the sources, installed elsewhere, and used there without the sources."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement

from fsamc import __version__
from tests.fsamc.layouts import TinyNetwork, export_program, write_category
from tests.house import PACKAGES
from tests.sweeps.outs import Out

ROOT = Path(__file__).resolve().parents[1]
SOURCES = (*PACKAGES, "pyproject.toml", "README.md", "LICENSE")
IN_THE_REPOSITORY_ONLY = ROOT / "cluster" / "manifests"


@dataclass(frozen=True)
class Installed:
    """A wheel, and an environment in which it is installed beside the libraries of this one."""

    wheel: Path
    environment: Path

    def run(self, *words: object, expected: int = 0) -> str:
        """Run a program of the environment, in its folder; what it prints."""
        program = self.environment / "bin" / str(words[0])
        env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        command = [str(program), *map(str, words[1:])]
        done = subprocess.run(command, cwd=self.environment, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == expected, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Installed:
    """Build and install it. The libraries are named in a path file, in which no editable installation is followed."""
    root = tmp_path_factory.mktemp("wheel")
    (root / "sources").mkdir()
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, root / "sources" / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    built = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(root), str(root / "sources")]
    subprocess.run(built, check=True, capture_output=True, text=True)
    (wheel,) = root.glob("*.whl")
    venv.create(root / "environment", with_pip=False)
    python = root / "environment" / "bin" / "python"
    words = [*pip, "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(words, check=True, capture_output=True, text=True)
    (libraries,) = (root / "environment").glob("lib/python*/site-packages")
    (libraries / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    return Installed(wheel, root / "environment")


@pytest.fixture(scope="module")
def light(installed, tmp_path_factory) -> Installed:
    """Install it into an environment that has what it requires without any extra, and what that requires in turn."""
    root = tmp_path_factory.mktemp("light") / "environment"
    venv.create(root, with_pip=False)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--disable-pip-version-check",
        "--python",
        str(root / "bin" / "python"),
    ]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(installed.wheel)], check=True, capture_output=True)
    (libraries,) = root.glob("lib/python*/site-packages")
    (own,) = libraries.glob("fsamc-*.dist-info")
    for distribution in required_by(PathDistribution(own)):
        for name in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (libraries / name).exists():
                (libraries / name).symlink_to(distribution.locate_file(name))
    return Installed(installed.wheel, root)


def required_by(first: Distribution) -> Iterator[Distribution]:
    """Yield what a distribution requires here, and all that these require."""
    waiting, done = [(first, "")], set()
    while waiting:
        distribution, extra = waiting.pop()
        for required in map(Requirement, distribution.requires or ()):
            if required.marker and not required.marker.evaluate({"extra": extra}):
                continue
            for wanted in ("", *required.extras):
                if (required.name, wanted) not in done:
                    done.add((required.name, wanted))
                    waiting.append((Distribution.from_name(required.name), wanted))
                    yield waiting[-1][0]


def files_beside_code() -> Iterator[str]:
    """Presets, templates, tables: what the packages hold that is no Python."""
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*"):
            kept = file.is_file() and file.suffix not in (".py", ".pyc")
            if kept and not file.is_relative_to(IN_THE_REPOSITORY_ONLY):
                yield file.relative_to(ROOT).as_posix()


def test_all_that_the_packages_hold_is_in_the_wheel_and_nothing_else(installed):
    names = {name for name in ZipFile(installed.wheel).namelist() if ".dist-info/" not in name}
    code = {file.relative_to(ROOT).as_posix() for package in PACKAGES for file in (ROOT / package).rglob("*.py")}
    assert names == code | {*files_beside_code()}


def test_the_command_answers_from_where_it_is_installed(installed):
    places = "import cluster, fsamc, sweeps; print(*(one.__file__ for one in (cluster, fsamc, sweeps)))"
    for place in installed.run("python", "-c", places).split():
        assert Path(place).is_relative_to(installed.environment)
    for words in (("fsamc",), ("python", "-m", "fsamc")):
        assert installed.run(*words, "--version") == f"fsamc {__version__}\n"


def test_presets_can_be_listed_and_taken(installed):
    names = [one["name"] for one in json.loads(installed.run("fsamc", "plan", "list", "--json"))]
    assert {*names} == {file.stem for file in (ROOT / "sweeps" / "presets").glob("*.yaml")}
    assert installed.run("fsamc", "plan", "check", "demo").startswith("demo: 4 trials")


def test_a_report_is_made_with_templates_tables_and_captions(installed, tmp_path):
    out = Out(tmp_path / "results")
    out.trial(0)
    out.trial(1)
    out.end()
    (out.root / "report.html").unlink()
    shown = installed.run("fsamc", "report", out.root, "--paper")
    assert shown.splitlines()[-1] == str(out.root / "report.html")
    assert "<style" in (out.root / "report.html").read_text()


def test_without_extras_pictures_are_named_by_a_classifier_of_a_folder_s_photos(light, tmp_path):
    for package in ("ray", "mlflow", "optuna", "faiss"):
        light.run("python", "-c", f"import {package}", expected=1)
    folder = write_category(tmp_path, "bolt", good=3, classes={"dent": 2, "hole": 2})
    network = export_program(TinyNetwork(), tmp_path / "tiny.pt2")
    small = ["base.features.size=64", "base.features.dim=16", "base.reference.projection=8", "--backbone", network]
    cache = ["--cache", tmp_path / "cache"]
    shown = light.run("fsamc", "fit", folder, *small, "--out", tmp_path / "bolt.fsamc", *cache)
    assert "dent 2, hole 2" in shown
    page = tmp_path / "page.html"
    words = ["fsamc", "predict", tmp_path / "bolt.fsamc", folder / "test", "--json", "--gallery", page, *cache]
    answers = [json.loads(line) for line in light.run(*words).splitlines()]
    assert [one["label"] for one in answers] == ["dent", "dent", "hole", "hole"]
    assert "<figure" in page.read_text()
    light.run("fsamc", "sweep", "smoke", "--data", tmp_path, "--out", tmp_path / "out", expected=2)
