from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sweeps.compare.comparison import compare_sweeps
from sweeps.report.document.report_blocks import Report, Table
from sweeps.results import tables
from sweeps.results.reader import SweepReader
from tests.sweeps.small import fsamc
from tests.sweeps.synthetic import edit, write_synthetic

CONFIGURATIONS = "Configurations of these trials"


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_synthetic(tmp_path / "first", trials=6)


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return write_synthetic(tmp_path / "other", trials=4, seed=1)


def rows(compared: Report, title: str) -> list[list[str]]:
    (blocks,) = (section.blocks for section in compared.sections if section.title == title)
    return [[cell.text for cell in row] for block in blocks if isinstance(block, Table) for row in block.rows]


def renumbered(folds: pd.DataFrame) -> pd.DataFrame:
    return folds.assign(trial=folds["trial"].map(lambda number: str(5 - int(number))), seconds="1.5")


@pytest.mark.parametrize("change", [lambda folds: folds, renumbered])
def test_a_sweep_equals_its_copy_whatever_trials_are_called_and_take(first, tmp_path, change):
    compared = compare_sweeps([first, edit(write_synthetic(tmp_path / "copy", trials=6), change)])
    assert compared.notices == []
    assert rows(compared, "Plans") == []
    assert rows(compared, "Best against best") == [["copy", "8", "+0.0", "+0.0 to +0.0", "equal on every fold"]]
    assert rows(compared, "Configurations that both ran") == [["copy", "6", "48", "agree exactly"]]


def test_the_plans_differ_in_dotted_keys(first, tmp_path):
    copy = write_synthetic(tmp_path / "copy", trials=6)
    plan = yaml.safe_load((copy / "plan.yaml").read_text())
    plan["folds"]["shots"], plan["search"]["trials"] = [5], 40
    (copy / "plan.yaml").write_text(yaml.safe_dump(plan))
    assert rows(compare_sweeps([first, copy]), "Plans") == [
        ["folds.shots", "[2]", "[5]"],
        ["search.trials", "20", "40"],
    ]


@pytest.mark.parametrize(
    ("seed_1", "seed_2", "conclusion"),
    [(0.1, 0.1, "better"), (-0.1, -0.1, "worse"), (0.1, -0.1, "cannot be told apart")],
)
def test_the_conclusion_is_the_second_sweeps(first, tmp_path, seed_1, seed_2, conclusion):
    def shift(folds: pd.DataFrame) -> pd.DataFrame:
        points = folds["seed"].map({"1": seed_1, "2": seed_2})
        return folds.assign(accuracy=(folds["accuracy"].astype(float) + points).astype(str))

    copy = edit(write_synthetic(tmp_path / "copy", trials=6), shift)
    (row,) = rows(compare_sweeps([first, copy]), "Best against best")
    assert row == ["copy", "8", row[2], row[3], conclusion]
    assert float(row[2].replace("\N{MINUS SIGN}", "-")) == pytest.approx(50 * (seed_1 + seed_2))


def test_the_interval_is_that_of_the_differences_per_category_and_seed(first, other):
    (row,) = rows(compare_sweeps([first, other]), "Best against best")
    ours, theirs = (_best_by_seed(out) for out in (other, first))
    gaps = 100 * (ours - theirs)
    half = 3.1824 * gaps.std() / 2  # Student's t of 3 degrees of freedom
    assert len(gaps) == 4
    low, high = (float(end.replace("\N{MINUS SIGN}", "-")) for end in row[3].split(" to "))
    assert (low, high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.051)
    assert row[4] == ("better" if low > 0 else "worse" if high < 0 else "cannot be told apart")


def _best_by_seed(out: Path) -> pd.Series:
    folds = SweepReader(out).folds
    mine = folds[folds["trial"] == tables.best_trial(folds)]
    return mine.groupby(["category", "seed"])["accuracy"].mean()


def test_other_shots_are_other_folds_and_the_average_is_over_the_categories_that_all_have(first, tmp_path):
    copy = edit(write_synthetic(tmp_path / "copy", trials=6), lambda folds: folds.assign(shots="5"))
    assert rows(compare_sweeps([first, copy]), "Best against best")[0][-1] == "no fold in common"
    plates = lambda folds: folds[folds["category"] == "metal_plate"]  # noqa: E731
    copy = edit(write_synthetic(tmp_path / "copy", trials=6), plates)
    compared = compare_sweeps([first, copy])
    table = {row[0]: row[1:] for row in rows(compared, "Best trials")}
    assert table["bottle_cap"][1] == tables.DASH
    assert table["average"] == table["metal_plate"]


def test_a_fold_that_differs_is_named(first, tmp_path):
    def one_less(folds):
        row = folds.index[(folds["trial"] == "3") & (folds["category"] == "metal_plate")][1]
        folds.loc[row, "correct"] = str(int(folds.loc[row, "correct"]) - 1)
        return folds

    copy = edit(write_synthetic(tmp_path / "copy", trials=6), one_less)
    compared = compare_sweeps([first, copy])
    assert rows(compared, "Configurations that both ran") == [["copy", "6", "48", "1 of 48 differ"]]
    (warning,) = compared.notices
    assert "metal_plate, seed 1, draw 1" in warning.text
    assert "trial 3 of copy" in warning.text


def test_other_data_are_a_warning(first, tmp_path):
    compared = compare_sweeps([first, write_synthetic(tmp_path / "moved", trials=6, data="another")])
    assert "other data than first: category bottle_cap, category metal_plate not the same" in compared.notices[0].text
    (first / "identity.json").unlink()
    assert "does not say what data" in compare_sweeps([first, tmp_path / "moved"]).notices[0].text


def test_the_command_compares_all_with_the_first_and_writes_a_page(first, other, tmp_path, capsys):
    third = write_synthetic(tmp_path / "third", trials=2, seed=2)
    assert [row[0] for row in rows(compare_sweeps([first, other, third]), "Best against best")] == ["other", "third"]
    page = tmp_path / "new" / "compare.html"
    assert fsamc("compare", first, other, third, "--out", page) == 0
    said = capsys.readouterr().out
    for text in (said, page.read_text()):
        for part in ("Plans", "Best trials", "Best against best, proved", "Configurations that both ran"):
            assert part in text
    assert str(page) in said.replace("\n", "")
    assert "<script" not in page.read_text()


def test_json_has_the_difference_of_the_best_trials_and_what_is_proved_of_it(first, other, capsys):
    assert fsamc("compare", first, other, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (row,) = rows(compare_sweeps([first, other]), "Best against best, proved")
    (found,) = told["compared"]
    assert (told["sweep"], found["sweep"], found["folds"], found["draws"]) == ("first", "other", 8, 4)
    assert row == ["other", "8", "4", row[3], row[4], found["conclusion"]]
    assert [f"{100 * found[end]:+.1f}".replace("-", "\N{MINUS SIGN}") for end in ("low", "high")] == row[4].split(
        " to "
    )
    assert found["difference"] == pytest.approx(_best_by_seed(other).mean() - _best_by_seed(first).mean())
    assert found["low"] < found["difference"] < found["high"]
    assert told["warnings"] == []


@pytest.mark.parametrize("what", ["missing", "empty", "twice", "alone", "unfinished"])
def test_what_is_no_sweep_is_one_line(first, tmp_path, what, capsys):
    folder = tmp_path / what
    if what == "unfinished":
        edit(write_synthetic(folder, trials=1), lambda folds: folds.assign(status="failed: x"))
    elif what == "empty":
        folder.mkdir()
    given = {"twice": [first, first], "alone": [first]}.get(what, [first, folder])
    assert fsamc("compare", *given, "--out", tmp_path / "page.html") == 2
    assert capsys.readouterr().err.startswith("fsamc: ")
    assert not (tmp_path / "page.html").exists()


def test_names_that_are_alike_are_told_apart_by_their_paths(first, tmp_path):
    copy = write_synthetic(tmp_path / "deeper" / "first", trials=6)
    assert compare_sweeps([first, copy]).title == f"{first} · {copy}"


def test_two_trials_of_a_sweep_by_hand(first, capsys):
    gains = {("bottle_cap", "0"): 0.2, ("bottle_cap", "1"): 0.1}

    def by_hand(folds: pd.DataFrame) -> pd.DataFrame:
        places = zip(folds["category"], folds["draw"], folds["trial"], strict=True)
        return folds.assign(accuracy=[str(0.5 + gains.get((c, d), 0.0) * (trial == "3")) for c, d, trial in places])

    edit(first, by_hand)
    plan = yaml.safe_load((first / "plan.yaml").read_text())
    plan["search"]["stopping"] |= {"error": 0.5, "stakes": [1.0]}
    (first / "plan.yaml").write_text(yaml.safe_dump(plan))
    compared = compare_sweeps([first / ".." / "first@0", Path(f"{first}@3")])
    assert compared.title == "first@0 · first@3"
    assert rows(compared, "Plans") == []
    # Differences per category and seed 15, 15, 0, 0: mean 7.5, deviation 8.66; Student's t of 3 degrees is 3.182.
    minus = "\N{MINUS SIGN}"
    assert rows(compared, "Trial against trial") == [
        ["first@3", "8", "+7.5", f"{minus}6.3 to +21.3", "cannot be told apart"]
    ]
    # Four draws of a quarter pay 1.2, 1.1, 1, 1 over (1 + m)^4, and 0.8, 0.9, 1, 1 over (1 - m)^4; 4 is enough.
    ends = [(1.2 * 1.1 / 4) ** 0.25 - 1, 1 - (0.8 * 0.9 / 4) ** 0.25]
    assert fsamc("compare", f"{first}@0", f"{first}@3", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    (found,) = told["compared"]
    assert (told["sweep"], told["trial"], found["sweep"], found["trial"]) == ("first@0", 0, "first@3", 3)
    assert (found["folds"], found["draws"], found["difference"]) == (8, 4, pytest.approx(0.075))
    assert [found["low"], found["high"]] == pytest.approx(ends)


def test_the_settings_in_which_trials_differ_are_listed(first):
    values = [trial.values for trial in SweepReader(first).trials]
    found = {row[0]: row[1:] for row in rows(compare_sweeps([Path(f"{first}@{n}") for n in (0, 3)]), CONFIGURATIONS)}
    assert found["representation.patches"] == [str(values[n]["representation.patches"]) for n in (0, 3)]
    assert "representation.shrinkage" not in found
    assert rows(compare_sweeps([first, Path(f"{first}@{best_of(first)}")]), CONFIGURATIONS) == []


def test_a_trial_stands_beside_another_sweep_as_beside_its_own(first, other):
    best = best_of(other)
    of_sweeps, of_trials = (compare_sweeps([first, path]) for path in (other, Path(f"{other}@{best}")))
    assert [row[1:] for row in rows(of_trials, "Trial against trial")] == [
        row[1:] for row in rows(of_sweeps, "Best against best")
    ]
    assert rows(of_trials, "Configurations that both ran")[0][0] == f"other@{best}"


def test_a_folder_whose_name_ends_like_a_trial_is_a_folder(first, tmp_path):
    copy = write_synthetic(tmp_path / "first@3", trials=6)
    assert compare_sweeps([first, copy]).title == "first · first@3"
    assert "equal on every fold" in rows(compare_sweeps([first, copy]), "Best against best")[0]


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ("{first}@6", "first@6: {first} has trials 0 to 5; give one of these"),
        ("{first}s@1", "firsts/plan.yaml: No such file or directory"),
        ("{first}@1 {first}@1", "give two or more different sweeps or trials"),
        ("postgresql://me:pass@host:5432/studies", "postgresql://me:***@host:5432/studies: a study does not say"),
    ],
)
def test_what_is_no_trial_is_one_line(first, given, line, capsys):
    assert fsamc("compare", first, *given.format(first=first).split()) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert line.format(first=first) in said
    assert "pass@" not in said


def best_of(out: Path) -> int:
    return tables.best_trial(SweepReader(out).folds)
