"""What the report says of a sweep: its numbers are those of OUT, and what is not known is said and not invented."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score, f1_score

from fsamc.config.dotted import updated
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.metrics import wilson_interval
from sweeps.compare import compare_folders
from sweeps.report.baselines import chance, not_default
from sweeps.report.confusion import Confusion, confusion_matrices, confusion_tables
from sweeps.report.document.markdown import to_markdown
from sweeps.report.document.report_blocks import Report, Table
from sweeps.report.evidence import gather
from sweeps.report.plots.axes import Axis, swept_axes
from sweeps.report.plots.heads import head_scores
from sweeps.report.plots.heatmap import fold_matrix
from sweeps.report.plots.importance import importances
from sweeps.report.scores import best_scores, fold_scores
from sweeps.report.sections import sweep_report
from sweeps.report.write import write_report
from sweeps.results.choices import leave_one_category_out
from sweeps.results.fold_rows import DETECTION, PREDICTIONS
from sweeps.results.reader import SweepReader
from sweeps.results.tables import FOLD, best_trial, over_shots, percent, ranking, summarise, unbeaten
from tests.sweeps.synthetic import SPACE, edit, note, write_synthetic

DASH = "\N{EN DASH}"


def change_plan(out: Path, **changes) -> None:
    plan = yaml.safe_load((out / "plan.yaml").read_text())
    (out / "plan.yaml").write_text(yaml.safe_dump(plan | changes, sort_keys=False))


def failed(which: Callable[[pd.DataFrame], pd.Series]) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """The same folds, some of which have failed."""

    def fail(folds: pd.DataFrame) -> pd.DataFrame:
        folds.loc[which(folds), ["accuracy", "correct", "queries"]] = ""
        folds.loc[which(folds), "status"] = "failed: out of memory in pretrain"
        return folds

    return fail


def report_of(out: Path) -> Report:
    return sweep_report(gather(out))


def section(report: Report, name: str) -> list:
    return next((list(one.blocks) for one in report.sections if one.id == name), [])


def table(report: Report, name: str) -> Table:
    return next(block for block in section(report, name) if isinstance(block, Table))


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in row] for row in table.rows]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    out = write_synthetic(tmp_path_factory.mktemp("sweep") / "out", trials=12)
    edit(out, failed(lambda folds: (folds["trial"] == "3") & (folds["seed"] == "2") & (folds["draw"] == "1")))
    note(out, caveats=["random backbone"], warnings=["plate: few images"], seconds=611.4)
    return out


@pytest.fixture(scope="module")
def report(out: Path) -> Report:
    return report_of(out)


def test_the_sections_and_their_order(report):
    assert [one.id for one in report.sections] == [
        *("headline", "ran", "ranking", "heads", "scores", "folds", "leave-one-out", "objectives", "measures"),
        *("confusion", "swept", "spent", "failures", "reading"),
    ]
    assert [plot.name for plot in report.plots] == [
        *("ranking", "heads", "heatmap", "parallel", "importances", "slices", "pareto"),
    ]


def test_the_headline_tells_the_choice_from_its_estimate(out, report):
    folds = SweepReader(out).folds
    best = best_trial(folds)
    average = over_shots(summarise(folds)).set_index(["trial", "category"]).loc[(best, "average"), ["mean", "std"]]
    honest = leave_one_category_out(folds).iloc[-1]
    tiles = {tile.label: tile for tile in section(report, "headline")[0].tiles}
    assert tiles["Best trial"].value == percent(*average)
    assert tiles["Best trial"].note.startswith(f"trial {best}, chosen on the very queries it is reported on: selection")
    assert tiles["Leave-one-category-out"].value == percent(honest["accuracy"], honest["std"])


def test_caveats_warnings_failures_and_costs_are_said(report):
    markdown = to_markdown(report)
    failures = "| out of memory in pretrain | 3 | bottle_cap, metal_plate | 2 folds |"
    costs = ("10 min 11 s", "3.00 GiB", "features 6 (1 min 01 s), bank 4 (33 s)")
    for said in ("> **random backbone**", "- plate: few images", failures, *costs):
        assert said in markdown


# --- a sweep that lacks something


def two_shots(folds: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([folds.assign(shots="1"), folds.assign(shots="5")])


@pytest.mark.parametrize(
    ("trials", "change", "said", "unsaid"),
    [
        (
            2,
            lambda folds: folds[(folds["category"] == "bottle_cap") & (folds["seed"] == "1")],
            [f"| **Leave-one-category-out** | **{DASH}** |", "Impossible", f"± {DASH}", "No other trial can be told"],
            ["± 0"],
        ),
        (1, lambda folds: folds, ["The only trial", "Nothing is swept"], ["chosen on the very queries", "## Heads"]),
        (4, two_shots, ["mean over the shots", "| average | 1 |", "| average | 5 |", "| average | mean |"], []),
        (
            4,
            failed(lambda folds: (folds["trial"] == "3") & (folds["category"] == "metal_plate")),
            ["left out: metal_plate (no finished fold in 3)", "Impossible here"],
            ["nan"],
        ),
    ],
    ids=["one category and seed", "one trial", "several shots", "a category that a trial lacks"],
)  # fmt: skip
def test_what_a_sweep_lacks_is_said_and_not_invented(tmp_path, trials, change, said, unsaid):
    out = write_synthetic(tmp_path, trials=trials)
    edit(out, change)
    if trials == 1:
        change_plan(out, space={})
    if trials == 2:
        edit(out, change, "predictions.csv")
    markdown = to_markdown(report_of(out))
    assert [text for text in said if text not in markdown] == []
    assert [text for text in unsaid if text in markdown] == []


def test_a_running_sweep_without_predictions_is_reported_as_far_as_it_got(tmp_path):
    out = write_synthetic(tmp_path, trials=3)
    (out / "predictions.csv").unlink()
    (out / "sweep.json").write_text('{"status": "running"}')
    folds = (out / "folds.csv").read_text()
    (out / "folds.csv").write_text(folds[: len(folds) // 2])
    markdown = to_markdown(report_of(out))
    assert "> **Status: running. The numbers below" in markdown
    assert markdown.count("There are no predictions") == 2


@pytest.mark.parametrize("rows", [0, 8])
def test_nothing_finished_is_one_line_and_writes_nothing(tmp_path, rows):
    out = write_synthetic(tmp_path, trials=1)
    edit(out, lambda folds: failed(lambda folds: folds["seed"] != "")(folds).head(rows))
    before = sorted(out.iterdir())
    with pytest.raises(BadInput, match=r"folds\.csv: no finished fold") as error:
        write_report(out)
    assert "\n" not in str(error.value)
    assert sorted(out.iterdir()) == before


@pytest.mark.parametrize("name", ["folds.csv", "plan.yaml"])
def test_a_missing_file_is_named(tmp_path, name):
    (write_synthetic(tmp_path, trials=1) / name).unlink()
    with pytest.raises(BadInput, match=rf"{name}: No such file"):
        write_report(tmp_path)


# --- tables


def test_of_many_trials_the_best_thirty_and_the_base_are_shown(tmp_path):
    out = write_synthetic(tmp_path, trials=45)
    edit(out, lambda folds: folds.assign(accuracy=folds["accuracy"].mask(folds["trial"] == "0", "0.01")))
    report = report_of(out)
    board = ranking(SweepReader(out).folds)["trial"].tolist()
    assert board[-1] == 0
    for name, place in (("ranking", 1), ("scores", 0)):
        assert [int(row[place]) for row in texts(table(report, name))] == [*board[:30], 0]
    assert "14 more ranked trials are in summary.csv" in to_markdown(report)


def test_rows_that_cannot_be_told_from_the_best_are_marked(out, report):
    board = gather(out).board
    rows = table(report, "ranking")
    assert rows.marked == [place for place, tied in enumerate(board["tied"] & board["mean"].notna()) if tied]
    assert 0 in rows.marked
    assert {row[5] for place, row in enumerate(texts(rows)) if place not in rows.marked} <= {
        "yes",
        "no, but incomplete",
    }


def test_confusions_add_up_to_the_folds(out):
    evidence = gather(out)
    mine = evidence.folds[(evidence.folds["trial"] == evidence.best) & (evidence.folds["status"] == "ok")]
    matrices = confusion_matrices(evidence)
    assert [matrix.category for matrix in matrices] == sorted(mine["category"].unique())
    for matrix in matrices:
        of_category = mine[mine["category"] == matrix.category]
        assert matrix.counts.sum() == of_category["queries"].sum()
        assert matrix.counts.trace() == of_category["correct"].sum()


def test_a_confusion_matrix_by_hand():
    (found,) = confusion_tables([Confusion("cap", 2, ["a", "b", "c"], np.array([[3, 1, 0], [0, 0, 0], [1, 0, 1]]))])
    assert found.title == "cap"
    assert texts(found) == [["a", "3", "1", "0", "75"], ["b", "0", "0", "0", DASH], ["c", "1", "0", "1", "50"]]
    assert [cell.shade for cell in found.rows[0]] == [None, 0.75, 0.25, 0, None]
    assert [[cell.strong for cell in row].index(True) for row in found.rows] == [1, 2, 3]


def test_other_measures_are_those_of_the_predictions(out):
    evidence = gather(out)
    mine = evidence.folds[evidence.folds["trial"] == evidence.best]
    measured = fold_scores(evidence.predictions)
    assert measured["accuracy"].tolist() == pytest.approx(mine["accuracy"].tolist())
    one = evidence.predictions.groupby(["category", "seed", "draw"]).get_group(("metal_plate", 1, 0))
    row = measured.set_index(["category", "seed", "draw"]).loc[("metal_plate", 1, 0)]
    truth, predicted = one["truth"].tolist(), one["predicted"].tolist()
    assert row["queries"] == len(truth)
    assert row["balanced accuracy"] == pytest.approx(balanced_accuracy_score(truth, predicted))
    assert row["macro F1"] == pytest.approx(f1_score(truth, predicted, average="macro"))


@pytest.mark.parametrize("seeds", [1, 4])
def test_the_interval_is_that_of_one_folds_queries_whatever_the_number_of_seeds(tmp_path, seeds):
    answers = [("a", "a")] * 6 + [("a", "b")] * 2 + [("b", "b")] * 3 + [("b", "a")]  # 9 of 12
    rows = [(0, "bottle_cap", seed, 0, 2, "x.png", *pair, "{}") for seed in range(seeds) for pair in answers]
    out = write_synthetic(tmp_path, trials=1)
    pd.DataFrame(rows, columns=PREDICTIONS).to_csv(out / "predictions.csv", index=False)
    row, average = texts(best_scores(gather(out)))
    low, high = (100 * end for end in wilson_interval(9, 12))
    assert row[2:4] == [f"{low:.1f} to {high:.1f}", "12"]
    assert row[4].startswith("75.0")  # recalls 6/8 and 3/4
    assert average[2:4] == ["", ""]


def test_detection_is_reported_where_it_was_on(report, tmp_path):
    assert "Detection first" not in to_markdown(report)
    out = write_synthetic(tmp_path, trials=1)
    rows = [(0, "bottle_cap", 1, 0, 2, 1.5, 0.6, 0.9, "", ""), (0, "bottle_cap", 2, 0, 2, 1.5, 0.7, 0.9, "", "")]
    pd.DataFrame(rows, columns=DETECTION).to_csv(out / "detection.csv", index=False)
    detection = section(report_of(out), "measures")[-1]
    assert texts(detection)[0] == ["bottle_cap", "65.0 ± 7.1", "90.0 ± 0.0", DASH, DASH]


def test_heads_are_the_best_trials_of_each_beside_the_papers_average(out):
    evidence = gather(out)
    heads = head_scores(evidence).set_index("head")
    board = evidence.board.assign(head=evidence.board["trial"].map(evidence.of_trials("head")))
    assert heads["mean"].to_dict() == board.groupby("head")["mean"].max().to_dict()
    best = evidence.configs[heads.loc["contrastive", "trial"]]
    printed = (
        0.3716 if "residual" in best.representation.parts else 0.3460
    )  # of tables 1 and 11 at two shots; the paper has no prototype
    assert heads["paper"].tolist() == pytest.approx([printed, math.nan], nan_ok=True, abs=5e-5)


def test_a_list_is_shown_as_a_plan_has_it(out):
    report, key = report_of(out), "representation.parts"
    assert dict(texts(table(report, "ran")))[key] == "choice: [residual], [raw]"
    place = table(report, "ranking").header.index(key)
    assert {row[place] for row in texts(table(report, "ranking"))} == {"[residual]", "[raw]"}


def test_listed_configurations_are_swept_like_any(tmp_path):
    out = write_synthetic(tmp_path, trials=3)
    entries = [
        {"head.kind": "contrastive", "representation.patches": 9},
        {"pretrain.lr": 0.01, "pretrain.stop_threshold": 0.3},
    ]
    change_plan(out, space={}, configurations=entries, search={"algorithm": "list"})
    ran = dict(texts(table(report_of(out), "ran")))
    assert ran["head.kind"] == "choice: prototype, contrastive"
    assert [axis.name for axis in swept_axes(gather(out))] == [*entries[0], *entries[1], "average, %"]


# --- plots


def test_every_fold_is_a_cell_and_a_missing_one_a_hole(out, monkeypatch):
    evidence = gather(out)
    matrix = fold_matrix(evidence)
    folds = evidence.folds.set_index(["trial", *FOLD])
    ranked = evidence.board["trial"].tolist()
    assert matrix.trials[: len(ranked)] == ranked
    assert sorted(matrix.trials) == sorted(set(evidence.folds["trial"]))
    assert matrix.omitted == 0
    for (row, column), accuracy in np.ndenumerate(matrix.accuracy):
        fold = folds.loc[(matrix.trials[row], *matrix.folds[column])]
        assert math.isnan(accuracy) if fold["status"] != "ok" else accuracy == fold["accuracy"]
    monkeypatch.setattr("sweeps.report.plots.heatmap.MOST_CELLS", 45)
    few = fold_matrix(evidence)
    assert (few.trials, few.omitted) == (ranked[:5], 7), "of eight folds each"


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5)), min_size=1, max_size=20))
def test_unbeaten_is_what_no_other_beats(points):
    accuracy, seconds = np.array(points, float).T
    expected = [
        not any(a >= mine and s <= took and (a, s) != (mine, took) for a, s in zip(accuracy, seconds, strict=True))
        for mine, took in zip(accuracy, seconds, strict=True)
    ]
    assert unbeaten(accuracy, seconds).tolist() == expected


def test_axes_follow_the_plan_and_a_key_that_some_trials_lack_has_a_place_below_the_others(tmp_path):
    out = write_synthetic(tmp_path, trials=14)
    conditioned = {**SPACE["pretrain.lr"], "when": {"head.kind": ["contrastive"]}}
    change_plan(out, space=SPACE | {"pretrain.lr": conditioned})
    edit(
        out, lambda folds: folds.assign(**{"pretrain.lr": folds["pretrain.lr"].mask(folds["head"] == "prototype", "")})
    )
    evidence = gather(out)
    axes = swept_axes(evidence)
    assert [axis.name for axis in axes] == [*SPACE, "average, %"]
    assert all(one.bounds[0] <= one.places.min() <= one.places.max() <= one.bounds[1] for one in axes)
    kinds, rates = axes[0], axes[list(SPACE).index("pretrain.lr")]
    assert (kinds.labels, {*kinds.places}) == (["contrastive", "prototype"], {0, 1})
    proposed = evidence.of_trials("pretrain.lr")[evidence.board["trial"]].dropna().to_numpy(float)
    assert 10 ** rates.places[rates.places > rates.places.min()] == pytest.approx(proposed)
    lacking = (evidence.board["trial"].map(evidence.of_trials("head")) == "prototype").to_numpy()
    assert rates.places[lacking].max() < rates.places[~lacking].min()
    assert len({*rates.places[lacking]}) == 1
    assert rates.labels[0] == DASH
    assert importances(axes)[0]
    markdown = to_markdown(report_of(out))
    assert "nan" not in markdown
    assert "when head.kind is contrastive" in markdown


def axis(name, places):
    return Axis(name=name, places=np.asarray(places, float), ticks=[0.0, 1.0], labels=["0", "1"])


def test_importance_goes_to_the_key_that_moves_the_accuracy():
    rng = np.random.default_rng(0)
    moves, idle = rng.random(40), rng.random(40)
    shares, reason = importances([axis("idle", idle), axis("moves", moves), axis("accuracy", 50 + 30 * moves)])
    assert reason == ""
    assert list(shares) == ["moves", "idle"]
    assert shares["moves"] > 0.9
    assert sum(shares.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    ("axes", "why"),
    [
        ([], "no swept key"),
        ([axis("a", range(20)), axis("b", [1] * 20), axis("accuracy", range(20))], "1 swept key"),
        ([axis("a", range(5)), axis("b", range(5)), axis("accuracy", range(5))], "5 ranked trials are too few"),
        ([axis("a", range(20)), axis("b", range(20)), axis("accuracy", [3] * 20)], "the same average"),
    ],
)
def test_importances_that_cannot_be_estimated_say_why(axes, why):
    shares, reason = importances(axes)
    assert shares == {}
    assert why in reason


def test_an_address_that_an_earlier_version_kept_with_its_secret_is_shown_without(tmp_path):
    out = write_synthetic(tmp_path, trials=2)
    note(out, tracking_uri="http://me:hush@host:5000", warnings=["http://hush@host/a?token=hush was slow"])
    markdown = to_markdown(report_of(out))
    assert "hush" not in markdown
    assert "http://***@host:5000" in markdown.replace("me:", "").replace("\\", "")


def test_an_out_may_have_been_moved_to_any_name(tmp_path):
    name = "a?b#c 100 % a%20b'c&d;e"
    out = write_synthetic(tmp_path / name, trials=2)
    page = write_report(out)
    assert page.parent == out
    assert "accuracy" in page.read_text()
    assert list(compare_folders([out, write_synthetic(tmp_path / f"{name}2", trials=3)], out / "compared.html"))


# --- baselines


def test_chance_is_one_of_the_classes_and_the_commonest_one_is_counted(tmp_path):
    out = write_synthetic(tmp_path, trials=1)
    level = chance(gather(out))
    assert level.guessing == pytest.approx((1 / 4 + 1 / 5) / 2), "of four classes and of five"
    assert level.commonest == pytest.approx((1 / 4 + 1 / 5) / 2), "as many queries of each"
    edit(out, lambda rows: rows.assign(truth="chip"), "predictions.csv")
    assert chance(gather(out)).commonest == 1
    (out / "predictions.csv").unlink()
    assert chance(gather(out)) is None
    assert f"| **Chance** | **{DASH}** |" in to_markdown(report_of(out))


def test_the_default_is_told_from_the_plans_base(tmp_path):
    out = write_synthetic(tmp_path, trials=3)
    tiles = {tile.label: tile for tile in section(report_of(out), "headline")[0].tiles}
    assert "Default" not in tiles
    assert "not at their defaults: " in tiles["Base"].note
    plan = yaml.safe_load((out / "plan.yaml").read_text())
    change_plan(out, space={}, base={"features": plan["base"]["features"], "shots": 2})
    lines = [json.dumps({"trial": number, "values": {}, "done": True}) + "\n" for number in range(3)]
    (out / "trials.jsonl").write_text("".join(lines))
    tiles = {tile.label: tile for tile in section(report_of(out), "headline")[0].tiles}
    assert tiles["Default"].note == "trial 0, the plan as written: every setting at its default"
    assert "Base" not in tiles


def test_what_does_not_bite_is_not_called_changed():
    assert not_default(FoldConfig()) == []
    changed = {"pretrain.lr": 0.5, "features.backbone": "resnet18", "shots": 5}
    assert not_default(updated(FoldConfig(), changed)) == [], "a prototype is not trained"
    trained = not_default(updated(FoldConfig(), {"head.kind": "contrastive", **changed}))
    assert {"head.kind", "pretrain.lr"} <= set(trained)


def test_the_headline_says_when_the_sweep_was(tmp_path):
    out = write_synthetic(tmp_path, trials=1)
    assert "Swept from" not in to_markdown(report_of(out))
    started, ended = {"values": {}, "started": 1_700_000_000.0}, {"done": True, "ended": 1_700_003_600.0}
    change_plan(out, space={})
    (out / "trials.jsonl").write_text("".join(json.dumps({"trial": 0, **line}) + "\n" for line in (started, ended)))
    assert "Swept from 2023-11-14 22:13 to 23:13 UTC" in to_markdown(report_of(out))
