"""The three floors: `fsamc` <- `cluster` <- `sweeps`, and a method that needs no Ray, no MLflow, no command line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fsamc.layouts import write_category

ROOT = Path(__file__).resolve().parents[1]
ABOVE = ["ray", "mlflow", "optuna", "typer", "rich", "pandas", "matplotlib", "sklearn", "faiss"]


@pytest.fixture
def copy(tmp_path):
    for name in ("fsamc", "cluster", "sweeps"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def contract(folder):
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_contract_holds(copy):
    checked = contract(copy)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("fsamc/seeds.py", "import cluster.folds"),
        ("cluster/runtime.py", "from sweeps.plan.load import load_plan"),
        ("fsamc/store/store.py", "import ray"),
        ("fsamc/pseudo/preview.py", "import rich"),
    ],
)
def test_the_contract_breaks_where_something_imports_upward(copy, file, line):
    path = copy / file
    path.write_text(f"{path.read_text()}\n{line}\n")
    checked = contract(copy)
    assert checked.returncode == 1
    assert f"{file.removesuffix('.py').replace('/', '.')} -> {line.split()[1]}" in checked.stdout


def test_the_method_loads_where_nothing_of_the_floors_above_is_installed():
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "fsamc").rglob("*.py"))
        if path.stem != "__init__"
    ]
    code = f"import sys, importlib\nfor name in {ABOVE}: sys.modules[name] = None\n"
    code += f"for name in {modules}: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_plans_images_and_reports_are_looked_at_without_ray_mlflow_and_optuna(tmp_path):
    write_category(tmp_path, "tiles", good=3, classes={"chip": 3, "dent": 3})
    calls = [["plan", "show"], ["plan", "show", "smoke"], ["plan", "schema"], ["data", "inspect", str(tmp_path)]]
    reports = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in sorted((ROOT / "sweeps/report").rglob("*.py"))
    ]
    code = "import sys, importlib\nfor name in ['ray', 'mlflow', 'optuna']: sys.modules[name] = None\n"
    code += f"from sweeps.cli import app\nfor words in {calls}: assert not app(words, standalone_mode=False), words\n"
    code += f"for name in {reports}: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
