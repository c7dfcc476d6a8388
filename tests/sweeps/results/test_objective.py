"""What chooses among trials: the one score of a fold, the choice by it, and what other objectives would have chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import spearmanr

from fsamc.config.dotted import validated
from fsamc.data.category import load_category
from fsamc.errors import BadInput
from fsamc.fold.result import FoldResult
from sweeps.checks.prepare import Prepared
from sweeps.plan.load import load_plan, plan_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.results import objective, tables
from sweeps.results.choices import choice_line, choices, leave_one_category_out, spearman
from sweeps.results.folder import SweepFolder
from sweeps.results.reader import SweepReader
from sweeps.results.splits import splits
from tests.fsamc.layouts import write_category, write_textures
from tests.fsamc.results import RESULT
from tests.sweeps.asleep import folds_that_sleep
from tests.sweeps.results.test_folder import DATA, outcome, tell
from tests.sweeps.small import PLAN, Lab, client, fsamc, notes, runs, table

TRANSFER = {"kind": "transfer", "target": ["cap"]}


def plan(kind: str = "query", **more: Any) -> Plan:
    target = {"target": ["cap"]} if kind == "transfer" else {}
    return validated(Plan, {"name": "p", "objective": {"kind": kind, **target}, **more})


def result(category: str = "cap", predicted: tuple[int, ...] = (0, 1, 1, 1), **measured: float) -> FoldResult:
    images, truth = ("1", "2", "3", "4"), (0, 0, 0, 1)
    return replace(RESULT, category=category, images=images, truth=truth, predicted=predicted, measured=measured)


# --- the plan


def test_a_plan_fills_in_what_its_folds_are_asked(tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(PLAN))
    plain, asked = load_plan(str(file)), load_plan(str(file), ["objective={kind: support}", "folds.score=support"])
    assert plain.base.scoring == type(plain.base.scoring)()
    assert (asked.base.scoring.by, asked.base.scoring.measure) == ("support", ("support",))
    assert plan_hash(plain) != plan_hash(asked)
    assert "scoring" not in to_yaml(asked)
    (tmp_path / "again.yaml").write_text(to_yaml(asked))
    assert load_plan(str(tmp_path / "again.yaml")) == asked


def test_settings_of_what_is_not_measured_change_no_fold():
    tasks = {"kind": "support", "tasks": 9, "held_out": 0.3}
    assert plan("support", objective=tasks).scoring == plan("support").scoring
    both = plan(objective={"kind": "support", "also": ["pseudo"], "tasks": 9}).scoring
    assert (both.measure, both.tasks) == (("support", "pseudo"), 9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("objective.kind=transfer", ["objective", "transfer", "target"]),
        ("objective.target=[cap]", ["objective", "query", "target"]),
        ("objective.kind=luck", ["objective.kind", "luck"]),
        ("objective.also=[query]", ["objective.also", "query"]),
        ("base.scoring.by=support", ["base.scoring", "folds.score"]),
        ("space.scoring.tasks={choice: [1]}", ["space.scoring.tasks", "objective"]),
        ("folds.score=good", ["folds.score", "good"]),
        ("folds={score: support, pool: {rounds: 1}}", ["folds", "pool.rounds", "score: support"]),
        ("folds.pool.rounds=-1", ["folds.pool.rounds", "-1"]),
        ("objective={kind: pseudo}", ["pseudo.per_class", "objective.held_out"]),
    ],
)
def test_a_wrong_objective_is_refused_in_one_line(tmp_path, change, words):
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(PLAN))
    with pytest.raises(BadInput) as error:
        load_plan(str(file), [change])
    assert all(word in str(error.value) for word in words), error.value
    assert "\n" not in str(error.value)


def test_a_pool_that_is_off_changes_no_fold():
    off = plan("query", folds={"pool": {"rounds": 0, "temperature": 0.5}})
    assert off.scoring == plan("query").scoring
    assert plan("query", folds={"pool": {"rounds": 2}}).scoring.pool.rounds == 2


@pytest.mark.parametrize("change", ["folds.shots=[1]", "folds.shots=[1, 2]"])
@pytest.mark.parametrize("asked", ["objective={kind: support}", "objective={also: [support]}", "folds.score=support"])
def test_one_shot_is_refused_wherever_it_stands(tmp_path, change, asked):
    file = tmp_path / "p.yaml"
    file.write_text(yaml.safe_dump(PLAN))
    with pytest.raises(BadInput, match=r"`shots` is 1.*raise the shots.* or choose another objective"):
        load_plan(str(file), [change, asked])


def test_what_chooses_is_said_in_words():
    assert "selection on the test set" in objective.what_chooses(plan())
    assert "selection on the test set" in objective.what_chooses(plan(folds={"score": "support"}))
    assert "selection" not in objective.what_chooses(plan("support"))
    assert objective.what_chooses(plan("transfer")) == "accuracy on the categories other than cap"


# --- the score of a fold


def test_the_score_of_a_fold():
    one = result(support=0.25, pseudo=0.75)
    assert objective.fold_score(plan(), one) == one.accuracy == 0.5
    assert objective.fold_score(plan("support"), one) == 0.25
    assert objective.fold_score(plan("pseudo"), one) == 0.75
    assert np.isnan(objective.fold_score(plan("transfer"), one))
    assert objective.fold_score(plan("transfer"), result("tile")) == 0.5


def frames(scores: dict[tuple[int, str, int], tuple[float, float]]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """folds.csv and objectives.csv of (trial, category, seed) -> (accuracy, support)."""
    where = [(trial, category, seed, 0, 2) for trial, category, seed in scores]
    keys = pd.DataFrame(where, columns=["trial", *tables.FOLD])
    accuracy, support = (np.array([pair[place] for pair in scores.values()]) for place in (0, 1))
    folds = keys.assign(config="c", head="prototype", accuracy=accuracy, correct=1.0, queries=2.0)
    folds = folds.assign(status="ok", seconds=1.0)[tables.FIXED]
    return folds, keys.assign(query=accuracy, support=support, pseudo=np.nan)


# By queries 1 is best, by support 0; on tile alone 2 is best, on cap alone 1.
SCORES = {
    (trial, category, seed): (accuracy + 0.01 * seed, support)
    for trial, category, accuracy, support in [
        (0, "cap", 0.50, 0.9), (0, "tile", 0.50, 0.8),
        (1, "cap", 0.80, 0.4), (1, "tile", 0.60, 0.3),
        (2, "cap", 0.20, 0.2), (2, "tile", 0.70, 0.6),
    ]
    for seed in (1, 2)
}  # fmt: skip


@pytest.mark.parametrize(("kind", "best"), [("query", 1), ("support", 0), ("transfer", 2)])
def test_the_choice_follows_the_objective_and_the_accuracy_stays_that_of_the_queries(kind, best):
    folds, measured = frames(SCORES)
    board = objective.ranking_by_objective(plan(kind), folds, measured)
    assert board["trial"].iloc[0] == best
    assert board["objective"].is_monotonic_decreasing
    reported = {"query": {0: 0.515, 1: 0.715, 2: 0.465}, "transfer": {0: 0.515, 1: 0.815, 2: 0.215}}
    for trial, mean in reported.get(kind, reported["query"]).items():
        assert board.set_index("trial").loc[trial, "mean"] == pytest.approx(mean)


def test_the_target_has_no_say_whatever_its_folds_score():
    folds, measured = frames(SCORES)
    spoilt = folds.assign(accuracy=folds["accuracy"].where(folds["category"] != "cap", 1 - folds["accuracy"]))
    chosen = [objective.ranking_by_objective(plan("transfer"), each, measured) for each in (folds, spoilt)]
    for column in ("trial", "objective", "difference", "low", "high", "tied"):
        assert chosen[0][column].equals(chosen[1][column])
    assert not chosen[0]["mean"].equals(chosen[1]["mean"])


def test_a_score_on_disk_is_the_score_told(tmp_path):
    """What a resumed search is told from objectives.csv is what it was told from the results."""
    measured = {"kind": "support"}
    asked = validated(Plan, {"name": "p", "space": {"pretrain.queries": {"choice": [2, 3]}}, "objective": measured})
    asked = asked.model_copy(update={"base": asked.base.model_copy(update={"scoring": asked.scoring})})
    folder = SweepFolder(tmp_path / "out", asked)
    folder.open(DATA)
    supports = {1: 1 / 3, 2: 2 / 7}
    for number in (0, 1):
        outcomes = []
        for seed, support in supports.items():
            one = outcome(seed)
            one.result.measured["support"] = support / (1 + number)
            outcomes.append(one)
        tell(folder, number, *outcomes, **{"pretrain.queries": 2 + number})
    means = {trial: score["mean"] for trial, score in folder.scores().items()}
    assert means == pytest.approx({0: (1 / 3 + 2 / 7) / 2, 1: (1 / 6 + 1 / 7) / 2})
    rows = pd.read_csv(folder.root / "objectives.csv")
    assert list(rows.columns) == objective.OBJECTIVE_COLUMNS
    assert rows["query"].tolist() == [0.5] * 4
    assert rows["pseudo"].isna().all()
    again = SweepFolder(tmp_path / "out", asked)
    again.open(DATA)
    assert again.scores() == folder.scores()
    folder.finish()
    assert objective.chosen_trial(asked, folder.saved.folds, folder.saved.measured) == 0
    assert (
        (folder.root / "best.yaml").read_text().startswith("# trial 0, chosen by leave-one-out on the support images\n")
    )
    assert load_plan(str(folder.root / "best.yaml"), backbone="resnet18", weights="random").objective.kind == "support"


# --- what each would have chosen


def test_choices_by_hand():
    found = choices(*frames(SCORES)).set_index(["objective", "category"])
    assert found.index.tolist() == [
        ("query", "average"), ("support", "average"),
        ("transfer", "cap"), ("transfer", "tile"), ("transfer", "average"),
    ]  # fmt: skip
    assert found["trial"].tolist()[:4] == [1, 0, 2, 1]
    np.testing.assert_allclose(found["accuracy"], [0.715, 0.515, 0.215, 0.615, 0.415])
    np.testing.assert_allclose(found["best"], [0.715, 0.715, 0.815, 0.715, 0.765])
    np.testing.assert_allclose(found["score"].iloc[:4], [0.715, 0.85, 0.715, 0.815])
    np.testing.assert_allclose(found["std"], np.std([0.01, 0.02], ddof=1))
    # By support 0 > 2 > 1, by queries 1 > 0 > 2; on tile 2 > 1 > 0, on cap 1 > 0 > 2.
    np.testing.assert_allclose(found["correlation"].iloc[:4], [1, -0.5, -0.5, -0.5])


def test_the_transfer_rows_are_the_leave_one_category_out_table():
    folds, measured = frames(SCORES)
    found = choices(folds, measured)
    rows = found[found["objective"] == "transfer"].reset_index(drop=True)
    pd.testing.assert_frame_equal(
        rows[["category", "trial", "accuracy", "std"]],
        leave_one_category_out(folds)[["category", "trial", "accuracy", "std"]],
    )


def test_an_objective_that_not_every_trial_has_is_left_out():
    folds, measured = frames(SCORES)
    assert "support" not in set(choices(folds, measured[measured["trial"] != 2])["objective"])


def test_choices_are_made_within_each_number_of_shots_and_by_their_mean():
    folds, measured = frames(SCORES)
    inverse = folds.assign(shots=5, accuracy=1 - folds["accuracy"])
    found = choices(pd.concat([folds, inverse]), pd.concat([measured, measured.assign(shots=5)]))
    assert found.loc[found["objective"] == "query", ["shots", "trial", "trials"]].to_numpy().tolist() == [
        [2, 1, 3],
        [5, 2, 3],
        [pd.NA, 0, 3],  # all have 50 %, and the lower number is taken
    ]


@pytest.mark.parametrize(("shots", "best"), [("mean", 0), (2, 1), (5, 2)])
def test_one_number_of_shots_may_choose_and_the_accuracy_stays_that_over_all(shots, best):
    folds, measured = frames(SCORES)
    folds = pd.concat([folds, folds.assign(shots=5, accuracy=1 - folds["accuracy"])])
    chosen = validated(Plan, {"name": "p", "objective": {"shots": shots}, "folds": {"shots": [2, 5]}})
    board = objective.ranking_by_objective(chosen, folds, measured)
    assert board["trial"].iloc[0] == best
    assert board["mean"].tolist() == pytest.approx([0.5] * 3)


def test_the_rank_correlation_is_spearmans():
    rng = np.random.default_rng(3)
    one, other = (pd.Series(rng.integers(0, 6, 20) / 7) for _ in range(2))
    assert spearman(one, other) == pytest.approx(spearmanr(one, other).statistic)
    assert np.isnan(spearman(one[:2], other[:2]))
    assert np.isnan(spearman(one * 0, other))


def test_the_line_on_the_screen_says_what_chose_and_who_is_tied():
    folds, measured = frames(SCORES)

    def line(plan, folds=folds):
        return choice_line(plan, objective.ranking_by_objective(plan, folds, measured))

    assert line(plan("support")) == (
        "trial 0: 51.5 ± 0.7 %, chosen by leave-one-out on the support images (85.0 %); "
        "1 of the 2 other trials cannot be told apart from it"
    )  # trial 2 is 70 points below on cap and 20 on tile, both twice: -45 on average, with an interval of 46
    assert "selection on the test set; " in line(plan())
    assert line(plan("transfer")).startswith("trial 2: 21.5 ± 0.7 % on cap, chosen by")
    alone = folds[folds["trial"] == 0]
    assert line(plan(), alone) == "trial 0 is the only one: nothing was chosen"


# --- no queries at all


def few(root: Path) -> Path:
    """Two categories with three images of each class and not one more."""
    write_category(root / "data", "cap", good=5, classes={"crack": 3, "dent": 3})
    write_category(root / "data", "tile", good=4, classes={"blot": 3, "chip": 3})
    write_textures(root / "textures", {"banded": 1, "dotted": 1, "woven": 1})
    return root / "data"


def test_splits_without_queries(tmp_path):
    categories = {"cap": load_category(few(tmp_path), "cap")}
    asked = plan(folds={"score": "support", "shots": [3]})
    (found,) = splits(Prepared(plan=asked, categories=categories, textures=None, warnings=(), caveats=()))
    assert (found.queries, found.left_out) == (6, ())


@pytest.fixture
def own(lab: Lab) -> Lab:
    return Lab(few(lab.root), lab.textures, lab.backbone, lab.root)


ONE_HEAD = {
    "space": {
        "representation.patches": {"choice": [5, 20]},
        "representation.parts": {"choice": [["residual"], ["raw"]]},
    }
}


def test_too_few_images_for_queries_name_the_way_out(own, capfd):
    words = own.words(own.plan(**ONE_HEAD), "folds.shots=[3]")
    assert fsamc(*words) == 2
    errors = capfd.readouterr().err
    assert "need 4 groups" in errors
    assert "folds.score=support" in errors


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["objective={kind: transfer, target: [cup]}"], ["objective.target", "cup", "cap, tile"]),
        (["objective={kind: transfer, target: [cap, tile]}"], ["objective.target", "all", "sweep more"]),
    ],
)
def test_a_target_must_be_there_and_others_too(lab, capfd, changes, words):
    assert fsamc(*lab.words(lab.plan(**ONE_HEAD), *changes)) == 2
    errors = capfd.readouterr().err
    assert all(word in errors for word in words), errors
    assert not (lab.root / "out").exists()


def test_measuring_on_pseudo_defects_needs_textures(lab, capfd):
    words = lab.words(lab.plan(**ONE_HEAD), "objective={kind: pseudo}", "base.pseudo.per_class=8")
    at = words.index("--textures")
    assert fsamc(*words[:at], *words[at + 2 :]) == 2
    assert "objective pseudo needs pseudo-defects: give --textures DIR" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_with_a_pool_says_so_wherever_numbers_are(own, capfd):
    out = own.sweep(own.plan(space={}), "folds.seeds=[1]", "folds.pool.rounds=2")
    assert "pool: a fold's queries are named together" in capfd.readouterr().out
    assert "pool: a fold's queries are named together" in (out / "report.html").read_text().replace("&#39;", "'")
    assert notes(out)["status"] == "done"
    assert load_plan(str(out / "best.yaml")).folds.pool.rounds == 2


@pytest.mark.slow
@pytest.mark.ray
def test_a_sweep_of_three_images_per_class_is_scored_on_them(own, capfd):
    two = {"representation.patches": {"choice": [5, 20]}}
    out = own.sweep(own.plan(space=two), "folds.seeds=[1]", "folds.shots=[3]", "folds.score=support")
    screen = capfd.readouterr().out
    assert "no queries: accuracy is leave-one-out on the support images" in screen
    folds = table(out)
    assert len(folds) == 2 * 2
    assert set(folds["queries"]) == {"6"}
    answers = pd.read_csv(out / "predictions.csv")
    support = pd.read_csv(out / "support.csv")
    for category in ("cap", "tile"):
        mine = answers[(answers["category"] == category) & (answers["trial"] == 0)]
        assert sorted(mine["image"]) == sorted(support.loc[support["category"] == category, "image"])
        row = folds[(folds["category"] == category) & (folds["trial"] == "0")]
        assert float(row["accuracy"].iloc[0]) == (mine["truth"] == mine["predicted"]).mean()
    page = (out / "report.html").read_text()
    assert "no queries: accuracy is leave-one-out on the support images" in page
    assert "What each objective would have chosen" not in page
    assert notes(out)["status"] == "done"
    best = load_plan(str(out / "best.yaml"))
    assert (best.folds.score, best.folds.shots) == ("support", (3,))


@pytest.mark.ray
@pytest.mark.slow
def test_a_sweep_by_the_support_chooses_by_it_and_compares_with_the_others(lab, capfd):
    objectives = "objective={kind: support, also: [pseudo]}"
    with folds_that_sleep(report=True):
        out = lab.sweep(lab.plan(**ONE_HEAD), objectives, "base.pseudo.per_class=8", "folds.shots=[3]")
    folds, measured = SweepReader(out).folds, SweepReader(out).measured
    assert len(measured) == len(folds) == 16
    assert measured["query"].tolist() == folds["accuracy"].tolist()
    assert measured[["support", "pseudo"]].stack().between(0, 1).all()
    asked = load_plan(str(out / "plan.yaml"))
    best = objective.chosen_trial(asked, folds, measured)
    means = measured.groupby("trial")["support"].mean().round(12)
    assert best == means.idxmax()
    assert f"trial {best}: " in capfd.readouterr().out
    parents, children = runs(out)
    assert parents[0].data.tags["objective"] == "leave-one-out on the support images"
    assert parents[0].data.metrics["best_trial"] == best
    for number, child in children.items():
        assert child.data.metrics["objective"] == pytest.approx(means[number])
        assert child.data.metrics["objective"] == pytest.approx(child.data.metrics["objective/support"])
        assert child.data.metrics["accuracy"] == pytest.approx(folds.loc[folds["trial"] == number, "accuracy"].mean())
    assert client(out)
    text = (out / "report.md").read_text()
    assert f"trial {best}, chosen by leave-one-out on the support images" in text
    part = text.partition("## What each objective would have chosen")[2].partition("\n## ")[0]
    for name in ("query: ", "support: ", "pseudo: ", "transfer: cap", "transfer: tile", "transfer: average"):
        assert name in part
