from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fsamc.config.dotted import updated
from fsamc.fold.config import FoldConfig
from sweeps.plan.load import load_plan, to_yaml
from sweeps.report.document.report_blocks import Bullets, Heading, Table
from sweeps.report.evidence import gather
from sweeps.report.paper_comparison import OF_ROWS, SHARED, compare_column, compare_with_paper
from sweeps.report.paper_tables import (
    PaperTable,
    of_their_data,
    paper_tables,
    printed_average,
    printed_cells,
    rows_mean,
)
from sweeps.results import tables
from tests.sweeps.report.test_document import Page
from tests.sweeps.small import fsamc

DASH = "\N{EN DASH}"
BASE = updated(load_plan("table1").base, {"shots": 2})
TABLE = {table.number: table for table in paper_tables()}


def answers(**changes) -> dict[int, str]:
    """The cells that table 1's base with some changes answers."""
    config = updated(BASE, {key.replace("__", "."): value for key, value in changes.items()})
    return {number: column for number, table in TABLE.items() if (column := table.answered_by(config))}


# --- what is printed


def test_some_cells_are_as_printed():
    assert TABLE[1].printed("2").loc["bottle"].tolist() == pytest.approx([0.7193, 0.0248])
    assert TABLE[2].printed("1").loc["tire"].tolist() == pytest.approx([0.2964, 0.0630])
    assert TABLE[5].printed("raw").loc["wood"].tolist() == pytest.approx([0.44, np.nan], nan_ok=True)
    assert TABLE[13].printed("5").loc["average"].tolist() == pytest.approx([0.4116, 0.0219])
    assert "tire" not in TABLE[2].printed("5").index
    assert TABLE[4].printed("vanilla residual pretraining").index.tolist() == ["average"]


@pytest.mark.real
def test_every_cell_is_the_papers(shared: Path):
    expected = {}
    for name, table in json.loads((shared / "paper" / "tables.json").read_text()).items():
        number = int(name.removeprefix("table"))
        for row in table.get("rows", []):
            column = " ".join(mark for mark in row if mark != "accuracy")
            expected[number, "average", column] = (row["accuracy"], None)
        for row, cells in table.get("accuracy_percent", {}).items():
            expected |= {(number, row, column): (cell["mean"], cell.get("std")) for column, cell in cells.items()}
    ours = printed_cells().set_index(["table", "row", "column"])
    assert set(ours.index) == set(expected)
    for cell, (mean, std) in expected.items():
        found = [mean / 100, np.nan if std is None else std / 100]
        assert ours.loc[cell].tolist() == pytest.approx(found, nan_ok=True), cell


@pytest.mark.parametrize("table", TABLE.values(), ids=lambda table: table.name)
def test_a_tables_rows_and_columns_are_its_presets(table: PaperTable):
    cells = printed_cells()
    cells = cells[cells["table"] == table.number]
    assert list(table.columns) == list(cells["column"].unique())
    if table.number != 4:  # of the ablation only averages are printed
        assert [row for row in cells["row"].unique() if row != "average"] == list(table.categories)
    for column, config in table.columns.items():
        assert table.answered_by(config) == column
        assert table.departures(config, column) == []


def test_the_printed_averages_that_are_not_the_mean_of_their_rows():
    odd = {
        (table.number, column)
        for table in TABLE.values()
        for column in table.columns
        if abs(rows_mean(table.printed(column)) - table.printed(column).loc["average", "mean"]) > 0.0005
    }
    known = {3: "2", 5: ["residual"], 7: "24", 8: "235", 13: "5"}
    assert odd == {(number, column) for number, columns in known.items() for column in columns}


# --- which cell a trial answers


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {1: "2", 2: "2", 4: "contrastive residual pretraining", 5: "residual"}),
        ({"pretrain__enabled": False}, {3: "2", 4: "contrastive residual"}),
        ({"representation__parts": ["raw"]}, {4: "contrastive pretraining", 5: "raw", 11: "2"}),
        ({"representation__parts": ["raw"], "pretrain__enabled": False}, {}),
        ({"head__kind": "vanilla"}, {4: "vanilla residual pretraining", 7: "2"}),
        ({"pseudo__mask": "polygon", "shots": 3}, {9: "3"}),
        ({"head__kind": "direct"}, {4: "direct", 10: "2"}),
        ({"head__kind": "direct", "representation__parts": ["raw"], "pretrain__enabled": False, "shots": 1}, {10: "1"}),
        ({"good": True, "shots": 4}, {12: "4"}),
        ({"head__kind": "maml", "shots": 5}, {13: "5"}),
        ({"head__kind": "prototype"}, {}),
        ({"representation__parts": ["residual", "centred"], "shots": 1}, {1: "1", 2: "1"}),
        (
            {"representation__parts": ["centred"]},
            {1: "2", 2: "2", 4: "contrastive residual pretraining", 5: "residual"},
        ),
        ({"reference__kind": "padim"}, {}),
    ],
)
def test_a_trial_answers_the_cells_that_are_about_what_it_does(changes, expected):
    assert answers(**changes) == expected


@pytest.mark.parametrize(
    ("number", "column", "changes", "departures"),
    [
        (1, "2", {"features.fit": "squash", "features.resize": None}, ["fit squash (crop)", "resize none (256)"]),
        (1, "2", {"finetune.epochs": {2: 10, 5: 15}}, ["finetune.epochs 10 (45)"]),
        (1, "2", {"representation.parts": ["centred"]}, ["parts [centred] ([residual])"]),
        (1, "2", {"features.backbone": "resnet18", "pseudo.foreground": "auto", "detection.enabled": True}, []),
        (4, "contrastive residual pretraining", {"pretrain.maml.tasks": 3}, []),
        (3, "2", {"pretrain.enabled": False, "pretrain.max_rounds": 5, "pseudo.per_class": 7}, []),
        (13, "2", {"head.kind": "maml", "pretrain.maml.tasks": 3}, ["pretrain.maml.tasks 3 (10)"]),
        (10, "2", {"head.kind": "direct", "reference.ratio": 0.5, "head.trainable": "head"}, ["head (all)"]),
    ],
)
def test_departures_are_the_settings_that_count_and_are_not_the_papers(number, column, changes, departures):
    """A setting that nothing of the trial reads, and where a fold runs, do not count."""
    config = updated(BASE, changes)
    assert TABLE[number].answered_by(config) == column
    told = TABLE[number].departures(config, column)
    assert len(told) == len(departures)
    assert all(one.endswith(end) for one, end in zip(told, departures, strict=True))


def test_the_data_set_is_told_by_the_categories():
    tables = [TABLE[1], TABLE[2], TABLE[4]]
    assert of_their_data(tables, ["bagel"]) == [TABLE[2]]
    assert of_their_data(tables, ["screw", "magnetic_tile"]) == [TABLE[1], TABLE[4]]
    assert of_their_data(tables, ["magnetic_tile"]) == [TABLE[1], TABLE[4]]
    assert of_their_data([TABLE[12]], ["magnetic_tile"]) == [TABLE[12]]
    assert printed_average(BASE, ["bagel"]) == pytest.approx(0.3414)
    assert printed_average(BASE, ["magnetic_tile"]) == pytest.approx(0.3716)
    assert np.isnan(printed_average(FoldConfig(head={"kind": "prototype"}), ["screw"]))


# --- side by side


def folds(scores: dict[str, list[float]], trial: int = 0, shots: int = 2, head: str = "contrastive") -> pd.DataFrame:
    """Rows of folds.csv, a seed per score."""
    rows = [
        (trial, "c", category, seed, 0, shots, head, score, round(score * 100), 100, "ok", 1.0)
        for category, by_seed in scores.items()
        for seed, score in enumerate(by_seed, start=1)
    ]
    return pd.DataFrame(rows, columns=tables.FIXED)


def test_rows_and_averages_by_hand():
    # two shots: the paper has grid 21.28 +- 0.00, bottle 71.93 +- 2.48
    rows = compare_column(folds({"grid": [0.20, 0.24], "bottle": [0.60, 0.62], "board": [0.9, 0.9]}), TABLE[1], "2")
    assert rows.loc["grid", ["ours", "ours_std", "difference"]].tolist() == pytest.approx([0.22, 0.02 * 2**0.5, 0.0072])
    assert rows.loc["bottle", ["ours", "paper", "difference"]].tolist() == pytest.approx([0.61, 0.7193, -0.1093])
    # grid differs by more than the paper's deviation, and by less than ours; the paper has no board
    assert rows["exceeds"][["grid", "bottle", "board"]].tolist() == [False, True, False]
    assert rows.loc["cable", ["ours", "difference"]].isna().all()
    assert rows.loc["board", ["paper", "difference"]].isna().all()
    # averages are compared over the same categories only
    assert rows.index.tolist()[-3:] == ["average", OF_ROWS, SHARED]
    ours = [(0.20 + 0.60 + 0.9) / 3, (0.24 + 0.62 + 0.9) / 3]
    average = [np.mean(ours), np.std(ours, ddof=1), 0.3716]
    assert rows.loc["average", ["ours", "ours_std", "paper"]].tolist() == pytest.approx(average)
    assert rows.loc[["average", OF_ROWS], "difference"].isna().all()
    shared = [(0.22 + 0.61) / 2, (0.2128 + 0.7193) / 2]
    assert rows.loc[SHARED, ["ours", "paper", "difference"]].tolist() == pytest.approx([*shared, shared[0] - shared[1]])


def test_with_all_of_the_papers_categories_both_of_its_averages_are_compared():
    table = TABLE[8]
    rows = compare_column(folds({name: [0.3, 0.5] for name in table.categories}, head="vanilla"), table, "3")
    assert SHARED not in rows.index
    assert rows.loc["average", ["ours", "paper", "difference"]].tolist() == pytest.approx([0.4, 0.2812, 0.1188])
    assert rows.loc[OF_ROWS, ["paper", "difference"]].tolist() == pytest.approx([0.2664, 0.1336], abs=5e-5)
    # a dash in the paper's table is no row of its average
    without_tire = {name: [0.3, 0.5] for name in TABLE[2].categories if name != "tire"}
    rows = compare_column(folds(without_tire, shots=5), TABLE[2], "5")
    assert "tire" not in rows.index
    assert not np.isnan(rows.loc["average", "difference"])


def test_one_seed_counts_as_no_deviation():
    rows = compare_column(folds({"bottle": [0.75], "grid": [0.2129]}), TABLE[1], "2")
    assert np.isnan(rows.loc["bottle", "ours_std"])
    assert rows.loc[["bottle", "grid"], "exceeds"].all(), "3.07 points are more than 2.48, and anything is more than 0"


# --- from the command line


def cells(values: dict) -> dict:
    """Values as folds.csv holds them."""
    return {key: json.dumps(value) if isinstance(value, list) else value for key, value in values.items()}


def write_out(
    out: Path, plan: str, trials: list[tuple[dict, dict[int, dict[str, list[float]]]]], *changes: str
) -> Path:
    """OUT of a sweep: values and, by shots, scores of each trial."""
    out.mkdir()
    (out / "plan.yaml").write_text(to_yaml(load_plan(plan, changes)))
    lines = [json.dumps({"trial": number, "values": values}) + "\n" for number, (values, _) in enumerate(trials)]
    (out / "trials.jsonl").write_text("".join(lines))
    (out / "sweep.json").write_text('{"status": "running"}')
    parts = [
        folds(scores, number, shots, values.get("head.kind", "contrastive")).assign(**cells(values))
        for number, (values, by_shots) in enumerate(trials)
        for shots, scores in by_shots.items()
    ]
    pd.concat(parts).to_csv(out / "folds.csv", index=False)
    return out


@pytest.fixture
def out(tmp_path: Path) -> Path:
    trials = [({}, {2: {"bottle": [0.7, 0.8], "magnetic_tile": [0.3, 0.4]}, 1: {"bottle": [0.1]}})]
    return write_out(tmp_path / "out", "table1", trials, "folds.seeds=[1, 2]")


def compared(out: Path) -> tuple[list[str], list[Table], list[str]]:
    """Headings, tables and notes of the comparison of a sweep with the paper."""
    blocks = compare_with_paper(gather(out), out)
    headings = [block.text for block in blocks if isinstance(block, Heading)]
    notes = [note for block in blocks if isinstance(block, Bullets) for note in block.items]
    return headings, [block for block in blocks if isinstance(block, Table)], notes


def test_the_report_shows_it_on_the_screen_and_in_both_files_where_it_is_asked_for(out: Path, capsys):
    assert fsamc("report", out) == 0
    title = "Table 1: contrastive head, pretrained, MVTec AD"
    assert title not in capsys.readouterr().out + (out / "report.md").read_text()
    assert fsamc("report", out, "--paper") == 0
    markdown = (out / "report.md").read_text()
    for text in (capsys.readouterr().out, markdown, Page((out / "report.html").read_text()).text):
        for said in (title, "75.00 ± 7.07", "71.93 ± 2.48", "+3.07", "2 shots, trial 0", "1 shot, trial 0"):
            assert said in text
        assert "the paper's over seeds 1, 2, 3, 4, 5" in " ".join(text.split())
        assert "Table 5" not in text, "the sweep is named after table 1"
    assert "| bottle | 75.00 ± 7.07 | 71.93 ± 2.48 | +3.07 |" in markdown
    assert f"| magnetic_tile | 35.00 ± 7.07 | {DASH} | {DASH} |" in markdown
    assert f"| bottle | 10.00 ± {DASH} | 66.00 ± 5.08 | **\N{MINUS SIGN}56.00 \\*** |" in markdown


def test_a_sweep_under_another_name_shows_every_table_it_answers(tmp_path: Path):
    trials = [
        ({"representation.parts": ["residual"]}, {2: {"bottle": [0.7, 0.8]}}),
        ({"representation.parts": ["raw"]}, {2: {"bottle": [0.5, 0.6]}}),
    ]
    headings, tables, _ = compared(write_out(tmp_path / "out", "table5", trials, "name=mine"))
    assert [heading.partition(":")[0] for heading in headings] == ["Table 1", "Table 4", "Table 5", "Table 11"]
    ablation = {table.title: table for table in tables if table.title.startswith("contrastive")}
    assert list(ablation) == ["contrastive pretraining, trial 1", "contrastive residual pretraining, trial 0"]
    assert [row[0].text for row in ablation["contrastive pretraining, trial 1"].rows] == ["average"]


def test_of_several_trials_the_first_is_shown_and_the_others_are_named(tmp_path: Path):
    trials = [({"pretrain.lr": lr}, {2: {"bottle": [0.7, 0.8 + lr]}}) for lr in (1e-4, 1e-3, 1e-2)]
    changes = ["space={pretrain.lr: {choice: [1.0e-4, 1.0e-3, 1.0e-2]}}"]
    _, tables, notes = compared(write_out(tmp_path / "out", "table1", trials, *changes))
    assert [table.title for table in tables] == ["2 shots, trial 0"]
    assert "2 shots: trials 1, 2 answer it too; shown is the first that was proposed." in notes


def test_notes_say_what_the_marks_mean_where_there_are_any(tmp_path: Path):
    same = {name: [0.25, 0.2504] for name in TABLE[7].categories}
    _, (table,), notes = compared(write_out(tmp_path / "out", "table7", [({}, {2: same})]))
    average = next(row for row in table.rows if row[0].text == "average")
    assert average[2].text == "27.43 ± 1.05 \N{DAGGER}"
    assert {note[0] for note in notes} >= {"\N{DAGGER}", "*"}
    assert not any("different categories" in note for note in notes)


def test_a_sweep_that_answers_nothing_is_told_so_in_one_line(tmp_path: Path, capsys):
    out = write_out(tmp_path / "out", "smoke", [({"head.kind": "prototype"}, {2: {"bottle": [0.7]}})])
    assert fsamc("report", out, "--paper") == 2
    told = capsys.readouterr().err
    assert "answers a table of the paper" in told
    assert "table1, table2" in told
    assert told.count("\n") == 1
    assert not (out / "report.md").exists()
