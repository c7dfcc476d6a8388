"""Whole sweeps on an OUT that lost something: the table of the undisturbed one, or one line before work starts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fsamc.errors import BadInput
from sweeps.checks.disk import check_databases
from sweeps.plan.load import load_plan
from sweeps.report.evidence import gather
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import check_resumable, read_identity
from sweeps.results.reader import SweepReader
from sweeps.results.saved_settings import read_saved_settings
from sweeps.trials.status import is_finished
from tests import one_ray
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.small import Lab, assert_tracked, fsamc, notes

# Races that stop trials, a study to ask, and every table that there is.
PLAN = {
    "space": {
        "representation.patches": {"choice": [1, 2, 60]},
        "representation.parts": {"choice": [["residual"], ["raw"]]},
    },
    "folds": {"seeds": [1, 2, 3, 4]},
    "objective": {"kind": "support"},
    "resources": {"workers": 1, "gpus": 0},
    "search": {"algorithm": "optuna", "trials": 5, "stopping": {"kind": "race", "confidence": 0.6, "spread": 0.02}},
}
TABLES = ("folds.csv", "predictions.csv", "objectives.csv", "summary.csv", "support.csv", "best.yaml", "plan.yaml")


@pytest.fixture(scope="module")
def finished(materials: Path, tmp_path_factory) -> Lab:
    """A sweep that has come to its end, and what it wrote, kept apart."""
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path_factory.mktemp("damaged"))
    with folds_that_sleep():
        out = lab.sweep(lab.plan(**PLAN))
    assert notes(out)["trials_stopped"]
    shutil.copytree(out, lab.root / "kept")
    return lab


def tables(out: Path) -> dict[str, str]:
    return {name: (out / name).read_text() for name in TABLES}


def cut(*names: str, share: float = 0.6) -> Callable[[Path], None]:
    def damage(out: Path) -> None:
        for name in names:
            os.truncate(out / name, int(share * (out / name).stat().st_size))

    return damage


def remove(*names: str) -> Callable[[Path], None]:
    return lambda out: [(out / name).unlink() for name in names]  # type: ignore[return-value]


def fill(name: str, start: float, end: float) -> Callable[[Path], None]:
    """Put NUL bytes in the place of a part."""

    def damage(out: Path) -> None:
        content = (out / name).read_bytes()
        first, last = int(start * len(content)), int(end * len(content))
        (out / name).write_bytes(content[:first] + bytes(last - first) + content[last:])

    return damage


def without_first_line(out: Path) -> None:
    lines = (out / "trials.jsonl").read_text().splitlines(keepends=True)
    (out / "trials.jsonl").write_text("".join(lines[1:]))


MENDED = {
    "the ends of three tables and of identity.json": cut(
        "folds.csv", "predictions.csv", "objectives.csv", "identity.json", share=0.9
    ),
    "NUL bytes in predictions.csv and for sweep.json": lambda out: (
        fill("predictions.csv", 0.3, 0.5)(out) or fill("sweep.json", 0, 1)(out)
    ),
    "the first line of trials.jsonl": without_first_line,
    "no trials.jsonl, folds.csv and identity.json": remove("trials.jsonl", "folds.csv", "identity.json"),
    "what is made of the rest": remove(
        "summary.csv", "support.csv", "best.yaml", "plan.yaml", "report.html", "sweep.json", "mlflow.db", "study.db"
    ),
}


def some(cases: Mapping[str, Any], *fast: str) -> list[Any]:
    """All cases, those that are not named fast as slow tests."""
    return [pytest.param(case, id=name, marks=[] if name in fast else pytest.mark.slow) for name, case in cases.items()]


@pytest.mark.ray
@pytest.mark.parametrize(
    "damage", some(MENDED, "the ends of three tables and of identity.json", "what is made of the rest")
)
def test_the_same_command_gives_the_table_of_an_undisturbed_sweep(finished: Lab, damage, capfd):
    out, kept = finished.root / "out", finished.root / "kept"
    assert is_finished(out)
    damage(out)
    assert not is_finished(out)
    one_ray.up()
    with folds_that_sleep():
        assert fsamc(*finished.words(finished.root / "plan.yaml")) == 0
    assert tables(out) == tables(kept)
    SweepReader(out).check()
    assert notes(out)["folds_reused"] == notes(out)["folds"], "a fold was run, whose result is in the store"
    assert_tracked(out, trials=5)


@pytest.mark.ray
def test_what_the_store_has_lost_too_is_run_again(finished: Lab, capfd):
    out = finished.root / "out"
    (out / "folds.csv").unlink()
    shutil.rmtree(finished.root / "cache" / "fold")
    one_ray.up()
    with folds_that_sleep():
        assert fsamc(*finished.words(finished.root / "plan.yaml")) == 0
    assert "rows of trial 0 were missing or changed; they are lost: it is run again" in capfd.readouterr().out
    assert sum(record.done for record in SweepReader(out).trials) == 5
    assert SweepReader(out).finished["trial"].nunique() == 5


REFUSED = {
    **{f"half of {name}": (cut(name), name) for name in ("mlflow.db", "study.db")},
    **{f"NUL bytes in {name}": (fill(name, 0, 1), name) for name in ("mlflow.db", "study.db")},
    "half of sweep.json and of identity.json": (cut("sweep.json", "identity.json"), "identity.json"),
    "no identity.json and half of sweep.json": (
        lambda out: remove("identity.json")(out) and cut("sweep.json")(out),
        "out",
    ),
}


@pytest.mark.parametrize(("damage", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_made_again_is_one_line_before_work_starts(finished: Lab, tmp_path, damage, named, capfd):
    lab = Lab(finished.data, finished.textures, finished.backbone, tmp_path)
    shutil.copytree(finished.root / "kept", lab.root / "out")
    shutil.copy(finished.root / "plan.yaml", lab.root / "plan.yaml")
    damage(lab.root / "out")
    before = tables(lab.root / "out")
    assert fsamc(*lab.words(lab.root / "plan.yaml")) == 2
    told = capfd.readouterr().err.splitlines()
    assert len(told) == 1
    assert named in told[0]
    assert tables(lab.root / "out") == before


@pytest.mark.parametrize("name", ["folds.csv", "predictions.csv", "trials.jsonl", "support.csv", "plan.yaml"])
@pytest.mark.parametrize("command", ["report", "track"])
def test_commands_that_read_a_damaged_folder_say_so(finished: Lab, tmp_path, name, command, capfd):
    out = Path(shutil.copytree(finished.root / "kept", tmp_path / "out"))
    os.truncate(out / name, (out / name).stat().st_size // 2)
    if command == "report" and name == "support.csv":
        return  # which it does not read
    assert fsamc(command, out) == 2
    assert name in capfd.readouterr().err


def wrong_types(content: bytes) -> bytes:
    """The same keys with lists in the place of all values, where it is JSON."""
    try:
        return json.dumps({key: [[1]] for key in json.loads(content)}).encode()
    except (ValueError, TypeError):
        return b"[1, 2]\n"


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "a third": lambda content: content[: len(content) // 3],
    "all but a byte": lambda content: content[:-1],
    "NUL bytes": lambda content: content[: len(content) // 2] + bytes(len(content) - len(content) // 2),
    "an empty object": lambda content: b"{}",
    "wrong types": wrong_types,
}


@pytest.mark.parametrize("change", some(DAMAGES, "empty", "a third", "wrong types"))
def test_every_file_gives_the_right_table_or_one_line(finished: Lab, tmp_path, change):
    kept = finished.root / "kept"
    plan, whole, identity = load_plan(str(kept / "plan.yaml")), gather(kept).summary, read_identity(kept)
    assert identity is not None
    for file in sorted(path for path in kept.iterdir() if path.is_file()):
        out = tmp_path / file.name / "out"
        shutil.copytree(kept, out, ignore=lambda folder, names: [one for one in names if Path(folder, one).is_dir()])
        (out / file.name).write_bytes(change(file.read_bytes()))
        with one_line_at_most(out):
            pd.testing.assert_frame_equal(gather(out).summary, whole)
        with one_line_at_most(out):
            assert read_saved_settings(out).trials == 5
        with one_line_at_most(out):
            check_resumable(out, plan, identity.data, "auto")
            check_databases(out)
            folder = SweepFolder(out, plan)
            assert len(folder.open(identity.data, identity.averaged)) <= 5
            assert (folder.run, folder.notes.get("run", identity.run)) == (identity.run, identity.run)
        shutil.rmtree(out)


@contextmanager
def one_line_at_most(out: Path) -> Iterator[None]:
    """What is refused is refused by one line that says what to do."""
    told = []
    try:
        yield
    except BadInput as error:
        told = str(error).splitlines()
    assert len(told) <= 1
    assert all(str(out) in line and "; " in line for line in told)
