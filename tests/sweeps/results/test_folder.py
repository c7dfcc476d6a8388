from __future__ import annotations

import dataclasses
import errno
import json
from pathlib import Path

import pandas as pd
import pytest

from cluster.folds import Fold, Outcome
from fsamc.config.dotted import updated, validated
from fsamc.errors import BadInput
from fsamc.store.durable import write_whole
from sweeps.plan.load import config_hash, load_plan
from sweeps.plan.settings import Plan
from sweeps.results import tables
from sweeps.results.files import append
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import check_resumable, read_notes
from sweeps.results.reader import SweepReader, TrialRecord
from tests.sweeps.outs import result_of

DATA = {"category cap": "c1", "textures": "t1"}
PLAN = validated(
    Plan,
    {
        "name": "p",
        "space": {"good": {"choice": [False, True]}, "representation.parts": {"choice": [["residual"], ["raw"]]}},
        "base": {
            "features": {"backbone": "resnet18", "weights": "random"},
            "representation": {"parts": ["residual"]},
        },
        "search": {"algorithm": "grid"},
    },
)

RESIDUAL, RAW = {"representation.parts": ["residual"]}, {"representation.parts": ["raw"]}


@pytest.fixture
def folder(tmp_path) -> SweepFolder:
    folder = SweepFolder(tmp_path / "out", PLAN)
    assert folder.open(DATA) == []
    return folder


def again(folder: SweepFolder) -> tuple[SweepFolder, list[TrialRecord]]:
    """The folder as the next run of the sweep opens it."""
    opened = SweepFolder(folder.root, PLAN)
    return opened, opened.open(DATA)


def outcome(seed: int, *, error: str | None = None, right: int = 1, category: str = "cap", **values) -> Outcome:
    config = updated(PLAN.base, values)
    fold = Fold(category=category, seed=seed, draw=0, config=config)
    if error is not None:
        return Outcome(fold=fold, result=None, error=error)
    result = result_of(
        fold,
        classes=("crack", "dent, deep"),
        images=("test/crack/1.png", "test/dent, deep/1.png"),
        predicted=(0, 1) if right == 2 else (0, 0),
        scores=((0.75, -1.5), (1 / 3, 1e-9)),
        stages={"inputs": 0.25, "classify": 1.0},
        measured={},
    )
    return Outcome(fold=fold, result=result)


def tell(folder: SweepFolder, number: int, *outcomes: Outcome, done: bool = True, **values) -> None:
    folder.proposed(TrialRecord(number, values))
    for one in outcomes:
        folder.fold(number, values, one)
    if done:
        folder.done(number)


def rows(folder: SweepFolder, name: str = "folds.csv") -> list[dict[str, str]]:
    return pd.read_csv(folder.root / name, dtype=str, keep_default_na=False).to_dict("records")


# --- rows


def test_a_fold_is_a_row_with_a_column_per_swept_key(folder):
    tell(folder, 4, outcome(7, good=True, **RAW), good=True, **RAW)
    config = config_hash(updated(PLAN.base, {"good": True, **RAW}))
    assert rows(folder) == [
        {
            "trial": "4",
            "config": config,
            "category": "cap",
            "seed": "7",
            "draw": "0",
            "shots": "2",
            "head": PLAN.base.head.kind,
            "accuracy": "0.5",
            "correct": "1",
            "queries": "2",
            "status": "ok",
            "seconds": "1.25",
            "good": "true",
            "representation.parts": '["raw"]',
        }
    ]


def test_a_query_is_a_row_with_its_classes_and_a_score_per_class(folder):
    tell(folder, 0, outcome(1), good=False, **RESIDUAL)
    first, second = rows(folder, "predictions.csv")
    assert first | {"scores": None} == {
        "trial": "0",
        "category": "cap",
        "seed": "1",
        "draw": "0",
        "shots": "2",
        "image": "test/crack/1.png",
        "truth": "crack",
        "predicted": "crack",
        "scores": None,
    }
    assert (second["truth"], second["predicted"]) == ("dent, deep", "crack")
    assert json.loads(second["scores"]) == {"crack": 0.333333, "dent, deep": 1e-9}


def test_a_failed_fold_is_a_row_with_its_reason_and_no_prediction(folder):
    reason = 'ValueError: "features", too\nlarge'
    tell(folder, 0, outcome(1, error=reason), done=False, good=False, **RESIDUAL)
    (row,) = rows(folder)
    assert row["status"] == f"failed: {reason}"
    assert row["accuracy"] == row["correct"] == row["queries"] == row["seconds"] == ""
    assert rows(folder, "predictions.csv") == []
    assert not folder.has_rows()


def test_the_tables_are_sorted_at_the_end_whatever_the_order_of_arrival(folder, tmp_path):
    values = {"good": False, **RESIDUAL}
    for number in (2, 10):
        folder.proposed(TrialRecord(number, values))
    for number, seed in [(10, 2), (2, 2), (10, 1), (2, 1)]:
        folder.fold(number, values, outcome(seed))
    folder.done(10)
    folder.done(2)
    summary = folder.finish()
    assert [(row["trial"], row["seed"]) for row in rows(folder)] == [("2", "1"), ("2", "2"), ("10", "1"), ("10", "2")]
    assert [row["trial"] for row in rows(folder, "predictions.csv")] == ["2"] * 4 + ["10"] * 4
    pd.testing.assert_frame_equal(summary, tables.summarise(SweepReader(folder.root).folds))
    assert (folder.root / "summary.csv").exists()


def test_the_best_trial_becomes_a_plan_of_its_own(folder):
    tell(folder, 0, outcome(1), outcome(2), good=False, **RESIDUAL)
    tell(folder, 1, outcome(1, right=2, good=True), outcome(2, right=2, good=True), good=True, **RESIDUAL)
    folder.finish()
    best = load_plan(str(folder.root / "best.yaml"))
    assert best.name == "p-best"
    assert best.space == {}
    assert best.base == updated(PLAN.base, {"good": True})
    assert best.folds == PLAN.folds


def test_listed_configurations_have_a_column_per_key_of_any_entry_and_the_best_is_alone(tmp_path):
    entries = (RAW, {"pretrain.queries": 3})
    parts = {"search": {"algorithm": "list"}, "objective": {"abstain": False}}  # on one fold nothing beats the base
    plan = Plan(name="l", base=PLAN.base, configurations=entries, **parts)
    folder = SweepFolder(tmp_path / "out", plan)
    folder.open(DATA)
    tell(folder, 0, outcome(1), **RESIDUAL)
    tell(folder, 1, outcome(1, right=2, **RAW), **RAW)
    assert list(rows(folder)[0]) == [*tables.FIXED, "representation.parts", "pretrain.queries"]
    assert [row["representation.parts"] for row in rows(folder)] == ['["residual"]', '["raw"]']
    folder.finish()
    best = load_plan(str(folder.root / "best.yaml"))
    assert (best.base.representation.parts, best.configurations) == (("raw",), ())


def test_where_detection_is_on_a_fold_has_a_row_of_what_was_detected(tmp_path):
    plan = PLAN.model_copy(update={"base": updated(PLAN.base, {"detection.enabled": True})})
    folder = SweepFolder(tmp_path / "out", plan)
    folder.open(DATA)
    one = outcome(1, right=2)
    detected = {"threshold": 0.5, "anomaly": (0.4, 0.6), "good_images": ("a", "b", "c", "d")}
    result = dataclasses.replace(one.result, **detected, good_anomaly=(0.1, 0.2, 0.3, 0.9))
    tell(folder, 0, dataclasses.replace(one, result=result), good=False, **RESIDUAL)
    tell(folder, 1, outcome(1, error="x"), done=False, good=True, **RESIDUAL)
    (row,) = rows(folder, "detection.csv")
    assert (row["trial"], row["seed"], row["threshold"]) == ("0", "1", "0.5")
    # of two queries, both named rightly, one is detected; of four good images one is called defective
    assert float(row["workflow_accuracy"]) == pytest.approx((1 + 3) / 6)
    assert (float(row["detection_recall"]), float(row["false_alarm_rate"])) == (0.5, 0.25)
    assert SweepFolder(folder.root, plan).open(DATA)[0].done
    assert len(rows(folder, "detection.csv")) == 1


def test_without_detection_there_is_no_such_table(folder):
    tell(folder, 0, outcome(1), good=False, **RESIDUAL)
    folder.finish()
    assert not (folder.root / "detection.csv").exists()


# --- going on


def test_a_new_sweep_has_no_rows_and_goes_on_under_its_own_name(folder):
    assert rows(folder) == rows(folder, "predictions.csv") == []
    opened, _ = again(folder)
    assert opened.run == folder.run
    other = SweepFolder(folder.root.with_name("other"), PLAN)
    other.open(DATA)
    assert other.run != folder.run


def test_trials_come_back_with_what_was_proposed_and_only_finished_ones_keep_their_rows(folder):
    tell(folder, 0, outcome(1), outcome(2), good=False, **RESIDUAL)
    tell(folder, 1, outcome(1), done=False, good=False, **RAW)
    tell(folder, 2, outcome(1, error="x"), outcome(2), done=False, good=True, **RESIDUAL)
    opened, records = again(folder)
    assert records == [
        TrialRecord(0, {"good": False, **RESIDUAL}, done=True),
        TrialRecord(1, {"good": False, **RAW}),
        TrialRecord(2, {"good": True, **RESIDUAL}),
    ]
    assert [row["trial"] for row in rows(opened)] == ["0", "0"]
    assert [row["trial"] for row in rows(opened, "predictions.csv")] == ["0"] * 4
    assert {number: score["mean"] for number, score in opened.scores().items()} == {0: 0.5}


def test_a_trial_stopped_early_keeps_its_rows_and_its_reason(folder):
    tell(folder, 0, outcome(1), outcome(2), good=False, **RESIDUAL)
    tell(folder, 1, outcome(1, right=2), done=False, good=False, **RAW)
    folder.done(1, stopped="after 1 of 2 folds: x", estimate=0.1 + 0.2)
    for opened, records in (again(folder), again(folder)):
        values = {"good": False, **RAW}
        assert records[1] == TrialRecord(1, values, done=True, stopped="after 1 of 2 folds: x", estimate=0.1 + 0.2)
        assert opened.fold_scores() == {
            0: {("cap", 1, 0, 2): 0.5, ("cap", 2, 0, 2): 0.5},
            1: {("cap", 1, 0, 2): 1.0},
        }
    assert tables.over_shots(opened.finish())["trial"].tolist() == [
        0,
        0,
        1,
    ]  # cap and average of trial 0, cap of trial 1
    assert load_plan(str(folder.root / "best.yaml")).base == PLAN.base


@pytest.mark.parametrize("name", ["folds.csv", "predictions.csv", "trials.jsonl"])
@pytest.mark.parametrize("left", [1, 10, 25])
def test_a_line_torn_by_a_kill_is_dropped_and_takes_nothing_with_it(folder, name, left):
    tell(folder, 0, outcome(1), outcome(2), good=False, **RESIDUAL)
    whole = {file: (folder.root / file).read_text() for file in ("folds.csv", "predictions.csv")}
    tell(folder, 1, outcome(1), done=False, good=False, **RAW)
    file = folder.root / name
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1]) + lines[-1][:left])
    opened, records = again(folder)
    assert {file: (folder.root / file).read_text() for file in whole} == whole
    assert [record.number for record in records] == ([0] if name == "trials.jsonl" else [0, 1])
    opened.proposed(TrialRecord(len(records), {"good": True, **RESIDUAL}))
    opened.done(len(records))
    _, after = again(folder)
    assert after == [*records, TrialRecord(len(records), {"good": True, **RESIDUAL}, done=True)]


def test_notes_add_up_over_the_runs(folder):
    folder.note({"status": "running", "seconds": 3})
    folder.note({"status": "done"})
    opened, _ = again(folder)
    now = {"status": "running", "seconds": 3, "trials": 0}  # until it is done again
    assert opened.notes == read_notes(folder.root) == now


# --- whose the folder is


def test_the_sweep_that_began_may_go_on(folder):
    for mode in ("auto", "must"):
        check_resumable(folder.root, PLAN, DATA, mode)


@pytest.mark.parametrize(
    ("contents", "named"),
    [
        ({**DATA, "category cap": "c2"}, "category cap"),
        ({**DATA, "category nut": "n1"}, "category nut"),
        ({"category cap": "c1"}, "textures"),
        ({"category nut": "n1", "textures": "t2"}, "category cap, textures, category nut"),
    ],
)
def test_other_data_may_not_and_is_named(folder, contents, named):
    with pytest.raises(BadInput, match=rf"\({named} differs\)"):
        check_resumable(folder.root, PLAN, contents, "auto")


@pytest.mark.parametrize(
    ("was", "told"),
    [
        ("", "has another plan"),
        (
            "  head: {kind: direct, direct: {epochs: 3}}",
            "an earlier version .*head.direct.epochs is head.epochs",
        ),
    ],
)
def test_a_sweep_that_an_earlier_version_began_is_told_as_that(folder, was, told):
    other = PLAN.model_copy(update={"name": "other"})
    (folder.root / "plan.yaml").write_text(f"name: p\nbase:\n  good: false\n{was}\n")
    with pytest.raises(BadInput, match=told):
        check_resumable(folder.root, other, DATA, "auto")


def test_a_kill_before_the_identity_was_whole_leaves_a_folder_that_is_as_good_as_empty(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "identity.json.part").write_text("{")
    check_resumable(out, PLAN, DATA, "auto")
    (out / "other").write_text("x")
    with pytest.raises(BadInput, match="not empty"):
        check_resumable(out, PLAN, DATA, "auto")


# --- files


def test_a_file_is_written_whole_or_stays_as_it_was(tmp_path, monkeypatch):
    file = tmp_path / "a.json"
    write_whole(file, "before")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match=r"full.*a\.json") as error:
        write_whole(file, "after")
    assert file.read_text() == "before"
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(file))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_with_the_name_of_the_file():
    with pytest.raises(OSError, match="No space left on device") as error:
        append(Path("/dev/full"), "line\n")
    assert error.value.filename == "/dev/full"
