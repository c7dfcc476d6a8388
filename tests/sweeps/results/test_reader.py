"""The reader of OUT: whole files, torn ones, and tables that grow."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pandas as pd
import pytest

from fsamc.errors import BadInput
from sweeps.results import rows, tables
from sweeps.results.reader import SweepReader
from sweeps.results.rows import GrowingTable, Replaced, read_rows
from tests.sweeps.outs import Out

HEADER = "trial,config,category,seed,draw,shots,head,accuracy,correct,queries,status,seconds,head.kind,pretrain.lr\n"


def propose(out: Path, *numbers: int) -> None:
    """Write trials.jsonl."""
    lines = (json.dumps({"trial": number, "values": {}}) + "\n" for number in numbers)
    (out / "trials.jsonl").write_text("".join(lines))


def folds_of(out: Path) -> pd.DataFrame:
    return SweepReader(out).folds


@pytest.fixture
def out(tmp_path: Path) -> Path:
    lines = [
        "0,aaaa,NA,1,0,2,contrastive,0.5,5,10,ok,1.5,contrastive,0.001\n",
        "1,bbbb,NA,1,0,2,prototype,,,,failed: out of memory,0.5,prototype,0.01\n",
        '0,aaaa,"b, c",1,0,2,contrastive,0.25,1,4,ok,1.5,contrastive,0.001\n',
    ]
    (tmp_path / "folds.csv").write_text(HEADER + "".join(lines))
    propose(tmp_path, 0, 1)
    return tmp_path


def test_reading_keeps_names_and_types(out: Path):
    folds = folds_of(out)
    assert folds["category"].tolist() == ["NA", "b, c", "NA"]
    assert folds["trial"].dtype == "int64"
    assert folds["accuracy"].tolist()[:2] == [0.5, 0.25]
    assert math.isnan(folds["accuracy"].iloc[2])
    assert folds["pretrain.lr"].tolist() == [0.001, 0.001, 0.01]
    assert tables.swept_keys(folds) == ["head.kind", "pretrain.lr"]


@pytest.mark.parametrize(
    "torn", ["1,bbbb,pc", '1,bbbb,"half', '1,bbbb,"two\nlines', "1,bbbb,pcb,2,0,2,proto,0.5,5,10,ok,1.5,p,0.0"]
)
def test_a_torn_last_line_is_left_out(out: Path, torn: str):
    whole = folds_of(out)
    with (out / "folds.csv").open("a") as file:
        file.write(torn)
    pd.testing.assert_frame_equal(folds_of(out), whole)


def test_reading_learns_from_trials_jsonl_who_was_stopped_and_who_is_done(out: Path):
    assert folds_of(out)["state"].tolist() == ["open", "open", "open"]
    (out / "trials.jsonl").write_text(
        '{"trial": 0, "values": {}, "done": true, "stopped": "x"}\n{"trial": 1, "values": {}}\n{"trial": 1, "sto'
    )
    assert folds_of(out)["state"].tolist() == ["stopped", "stopped", "open"]
    (out / "trials.jsonl").write_text('{"trial": 0, "values": {}, "done": true}\n{"trial": 1, "values": {}}\n')
    assert folds_of(out)["state"].tolist() == ["done", "done", "open"]


def test_a_fold_tried_again_counts_once_as_last_written(out: Path):
    with (out / "folds.csv").open("a") as file:
        file.write("1,bbbb,NA,1,0,2,prototype,0.75,3,4,ok,1.0,prototype,0.01\n")
    assert tables.finished(folds_of(out))["accuracy"].tolist() == [0.5, 0.25, 0.75]


def test_bad_files_are_one_line_that_names_the_file(out: Path, tmp_path_factory):
    with pytest.raises(BadInput, match=r"folds\.csv: No such file.*OUT folder"):
        folds_of(tmp_path_factory.mktemp("empty"))
    (out / "folds.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="no column 'trial'"):
        folds_of(out)
    (out / "folds.csv").write_text(HEADER + "zero,aaaa,pcb,1,0,2,p,0.5,5,10,ok,1.5,p,0.1\n")
    with pytest.raises(BadInput, match="zero"):
        folds_of(out)


def test_a_key_that_some_trials_lack_is_a_number_where_all_others_are(tmp_path):
    lines = ["0,a,pcb,1,0,2,prototype,0.5,5,10,ok,1.0,prototype,", "1,b,pcb,1,0,2,maml,0.5,5,10,ok,1.0,maml,0.001"]
    (tmp_path / "folds.csv").write_text(HEADER + "\n".join(lines) + "\n")
    propose(tmp_path, 0, 1)
    folds = folds_of(tmp_path)
    assert folds["pretrain.lr"].isna().to_list() == [True, False]
    assert folds["pretrain.lr"].iloc[1] == 0.001


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_rows_of_one_trial_are_those_among_all_rows(tmp_path: Path, ending: str):
    lines = ["trial,image", "1,a", '11,"b, ""c"""', '1,"two\nlines"', "2,d", "1,", "21,e", "1,torn"]
    file = tmp_path / "predictions.csv"
    file.write_bytes(ending.join(lines).encode())
    every = read_rows(file)
    for trial in (1, 11, 2, 3):
        expected = every[every["trial"] == str(trial)].reset_index(drop=True)
        pd.testing.assert_frame_equal(read_rows(file, trial=trial), expected, check_dtype=False)


def test_a_resumed_sweep_parses_its_folds_twice_to_check_and_to_use_them(tmp_path: Path, monkeypatch):
    before = Out(tmp_path / "out")
    for number in range(2):
        before.trial(number)
    before.propose(2)
    before.fold(2, ("cap", 1, 0), 3)
    parsed = []
    parse = pd.read_csv
    monkeypatch.setattr(
        rows.pd, "read_csv", lambda text, **options: parsed.append(text.getvalue()) or parse(text, **options)
    )
    before.reopen()
    folder = before.folder
    assert set(folder.scores()) == set(folder.fold_scores()) == {0, 1}
    assert folder.has_rows()
    assert len(folder.saved.folds) == 16
    assert len([text for text in parsed if text.startswith(b"trial,config")]) == 2


def test_what_is_written_is_in_the_folder_s_next_look(tmp_path: Path):
    out = Out(tmp_path / "out")
    assert not out.folder.has_rows()
    out.trial(0)
    assert len(out.folder.saved.folds) == 8
    assert out.folder.records()[0].done
    out.propose(1)
    out.fold(1, ("cap", 1, 0), None)
    assert len(out.folder.saved.folds) == 9
    assert len(out.folder.saved.finished) == 8


def test_a_trial_whose_proposal_is_lost_is_none(tmp_path: Path):
    (tmp_path / "trials.jsonl").write_text('{"trial": 0, "values": {}}\n{"trial": 1, "done": true}\n')
    assert [record.number for record in SweepReader(tmp_path).trials] == [0]


def test_a_growing_table_gives_every_row_once_and_waits_for_the_end_of_a_torn_one(tmp_path: Path):
    path = tmp_path / "predictions.csv"
    table = GrowingTable(path)
    assert list(table.new_rows()) == []
    content = 'trial,image\n0,a\n1,"two\nlines, ""quoted"""\n2,\n'
    told = []
    for end in range(1, len(content) + 1):
        with path.open("a") as file:
            file.write(content[end - 1])
        told += table.new_rows()
    assert told == [
        {"trial": "0", "image": "a"},
        {"trial": "1", "image": 'two\nlines, "quoted"'},
        {"trial": "2", "image": ""},
    ]
    assert list(table.new_rows()) == []


def test_a_table_that_was_written_anew_is_another(tmp_path: Path):
    path = tmp_path / "folds.csv"
    path.write_text("trial\n0\n")
    table = GrowingTable(path)
    assert list(table.new_rows()) == [{"trial": "0"}]
    (tmp_path / "folds.csv.part").write_text("trial\n0\n1\n")
    (tmp_path / "folds.csv.part").replace(path)
    with pytest.raises(Replaced):
        list(table.new_rows())
