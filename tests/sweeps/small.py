"""Sweeps so small that one takes seconds, and what they leave, read back."""

from __future__ import annotations

import atexit
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from unittest import mock

import pandas as pd
import psutil
import pytest
import yaml
from mlflow.entities import Run
from mlflow.tracking import MlflowClient
from optuna.storages import BaseStorage, RDBStorage
from sqlalchemy import make_url

from fsamc.store.store import Store
from sweeps.checks.prepare import Prepared, prepare
from sweeps.cli import app, guarded
from sweeps.plan.kinds import without_lost
from sweeps.plan.load import load_plan
from sweeps.search.storage import StudyStorage
from tests import one_ray
from tests.fsamc.layouts import TinyNetwork, export_program, write_category, write_textures
from tests.sweeps.copies import CopyingProcesses, copying

# Two heads, and two means of the support: 4 trials x 2 categories x 2 seeds. Epochs give a fold tenths of a second.
PLAN: dict[str, Any] = {
    "name": "small",
    "base": {
        "features": {"size": 64, "dim": 16},
        "reference": {"projection": 8, "starts": 3},
        "representation": {"parts": ["residual"], "patches": 5},
        "views": {"support": "none", "queries": "none"},
        "head": {"kind": "prototype", "hidden": [8, 4], "embedding": 8},
        "pseudo": {"foreground": "whole", "per_class": 4},
        "pretrain": {"pseudo_classes": 3, "max_rounds": 4, "queries": 6, "stop_threshold": 1.0},
        "finetune": {"epochs": {2: 15, 3: 10}, "lr": 1e-3},
    },
    "space": {
        "head.kind": {"choice": ["prototype", "contrastive"]},
        "support.mean": {"choice": ["embedding", "residual"]},
    },
    "folds": {"seeds": [1, 2]},
    "resources": {"gpus": 0},
    "search": {"algorithm": "grid"},
}
ROOT = Path(__file__).resolve().parents[2]
FSAMC = [sys.executable, "-m", "sweeps"]


def write_materials(root: Path) -> Path:
    """Write `data` of two categories, `textures` and a network `tiny.pt2`; nobody should change them."""
    write_category(root / "data", "cap", good=5, classes={"crack": 5, "dent": 5, "hole": 5})
    write_category(root / "data", "tile", good=4, classes={"blot": 5, "chip": 5})
    write_textures(root / "textures", {"banded": 1, "dotted": 1, "woven": 1})
    export_program(TinyNetwork(), root / "tiny.pt2")
    return root


@dataclass(frozen=True)
class Lab:
    """The files that small sweeps start from; `root` is a folder for what they leave."""

    data: Path
    textures: Path
    backbone: Path
    root: Path

    def plan(self, name: str = "plan.yaml", **parts: Any) -> Path:
        """Write PLAN with some of its parts replaced."""
        file = self.root / name
        below = without_lost(PLAN, {**PLAN, **parts})
        file.write_text(yaml.safe_dump({**below, **parts}, sort_keys=False))
        return file

    def prepared(self, *changes: str, **parts: Any) -> Prepared:
        """Check PLAN with some of its parts replaced, as a sweep does before it starts."""
        plan = load_plan(str(self.plan(**parts)), changes, backbone=str(self.backbone))
        store = Store(self.root / "cache")
        return prepare(plan, data=self.data, textures=self.textures, store=store, device="cpu")

    def words(self, plan: Path | str, *more: str, out: str = "out", cache: str = "cache") -> list[str]:
        """The words after `fsamc` of a sweep from `root / cache` to `root / out`; no figures unless `more` asks."""
        given = {"--data": self.data, "--textures": self.textures, "--backbone": self.backbone}
        kept = {"--out": self.root / out, "--cache": self.root / cache}
        folders = [str(word) for pair in (given | kept).items() for word in pair]
        return ["sweep", str(plan), "--no-figures", *more, *folders]

    def start(
        self, words: list[str], environment: Mapping[str, str] | None = None, *, asleep: float | str | None = None
    ) -> subprocess.Popen[str]:
        """Begin a command in a process of its own, with this process's environment or another.

        `asleep`: seconds that folds sleep instead of being run, as `tests.sweeps.asleep` takes them.
        """
        command = FSAMC if asleep is None else [sys.executable, "-m", "tests.sweeps.asleep", str(asleep)]
        return subprocess.Popen(
            [*command, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**(environment or os.environ), "COLUMNS": "120", "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )

    def finish(self, words: list[str]) -> None:
        """Run a sweep to its end, in this process and on a Ray that stays up: nothing need be loaded again."""
        if "--address" not in words:
            one_ray.up()
        assert fsamc(*words) == 0

    def sweep(self, plan: Path | str, *more: str, out: str = "out", cache: str = "cache") -> Path:
        """Run a sweep to its end; its OUT."""
        self.finish(self.words(plan, *more, out=out, cache=cache))
        return self.root / out

    def kill_when(self, reached: Callable[[], bool], words: list[str], *, asleep: float | str | None = None) -> None:
        """Begin a sweep and kill its driver, and nothing else, with SIGKILL. Ray must go down by itself."""
        process = self.start(words, asleep=asleep)
        wait_for(reached, process)
        family = [one for one in psutil.Process(process.pid).children(recursive=True) if not is_agent(one)]
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        _, alive = psutil.wait_procs(family, timeout=30)
        assert not alive, f"outlived their driver: {alive}"


def is_agent(process: psutil.Process) -> bool:
    """Two helpers of Ray's that hold nothing, and look only once a minute whether they are still needed."""
    try:
        return "Agent" in " ".join(process.cmdline())
    except psutil.Error:
        return False


def title(process: psutil.Process) -> str:
    """What a process calls itself, as Ray's workers do by what they run; nothing if it is gone."""
    try:
        return process.cmdline()[0]
    except (psutil.Error, IndexError):
        return ""


def titles(pid: int | None = None) -> list[str]:
    """What all processes below one, this one by default, call themselves."""
    return [title(child) for child in psutil.Process(pid).children(recursive=True)]


def wait_for(reached: Callable[[], bool], process: subprocess.Popen[str], *, seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None, f"ended before: {process.communicate()}"
        assert time.monotonic() < end, "not reached"
        time.sleep(0.02)


def n_rows(out: Path) -> int:
    """Folds in folds.csv by now."""
    file = out / "folds.csv"
    return max(0, file.read_text().count("\n") - 1) if file.exists() else 0


def table(out: Path) -> pd.DataFrame:
    """folds.csv as it stands in the file, without what may differ between equal sweeps."""
    return pd.read_csv(out / "folds.csv", dtype=str, keep_default_na=False).drop(columns="seconds")


def without_numbers(folds: pd.DataFrame) -> list[tuple[str, ...]]:
    """The rows without the trials' numbers, in a fixed order: equal for two sweeps of the same configurations."""
    return sorted(folds.drop(columns="trial").itertuples(index=False, name=None))


def notes(out: Path) -> dict[str, Any]:
    return json.loads((out / "sweep.json").read_text())


def client(out: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{out / 'mlflow.db'}")


def runs(out: Path) -> tuple[list[Run], dict[int, Run]]:
    """The parent runs, and the trials' runs by number; fails on two of one trial."""
    mlflow = client(out)
    found = mlflow.search_runs([experiment.experiment_id for experiment in mlflow.search_experiments()])
    parents = [run for run in found if run.data.tags["fsamc.trial"] == "parent"]
    children = [(int(run.data.tags["fsamc.trial"]), run) for run in found if run not in parents]
    assert len({number for number, _ in children}) == len(children), "a trial has two runs"
    return parents, dict(children)


def fsamc(*words: object) -> int:
    """Run a command in this process; its exit code."""
    if "--address" in words:
        one_ray.down()
    with pytest.raises(SystemExit) as end, copied_databases():
        guarded(lambda: app([str(word) for word in words], standalone_mode=False, prog_name="fsamc"))
    assert isinstance(end.value.code, int)
    return end.value.code


@contextmanager
def copied_databases() -> Iterator[None]:
    """Databases of MLflow and Optuna that are new in this process are copies of one: tables take seconds to be made."""
    open_study = StudyStorage._rdb

    def opened(storage: StudyStorage, text: str) -> BaseStorage:
        url = make_url(text)
        if url.drivername == "sqlite" and not Path(url.database).exists():
            shutil.copy(_empty_database(RDBStorage), url.database)
        return open_study(storage, text)

    def empty() -> Path:
        return _empty_database(MlflowClient)

    with (
        copying(empty),
        mock.patch("sweeps.tracking.background.PROCESSES", CopyingProcesses(empty)),
        mock.patch.object(StudyStorage, "_rdb", opened),
    ):
        yield


@cache
def _empty_database(made_by: Callable[[str], object]) -> Path:
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder)
    logging.disable(logging.INFO)  # what MLflow says of it is none of the screen that a test may read
    try:
        made_by(f"sqlite:///{folder / 'empty.db'}")
    finally:
        logging.disable(logging.NOTSET)
    return folder / "empty.db"


def assert_same_results(out: Path, reference: Path) -> None:
    pd.testing.assert_frame_equal(table(out), table(reference))
    assert (out / "predictions.csv").read_text() == (reference / "predictions.csv").read_text()
    assert (out / "summary.csv").read_text() == (reference / "summary.csv").read_text()


def assert_tracked(out: Path, *, trials: int) -> None:
    """One parent, one child per trial below it, all finished."""
    parents, children = runs(out)
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert sorted(children) == list(range(trials))
    for run in children.values():
        assert run.info.status == "FINISHED"
        assert run.data.tags["mlflow.parentRunId"] == parents[0].info.run_id


def fill(file: Path) -> None:
    """Write a file until the disk is full."""
    try:
        with file.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(1 << 16))
    except OSError:
        return
