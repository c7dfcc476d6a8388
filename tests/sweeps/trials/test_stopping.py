"""What Tune hears about a fold, without Ray; and whole sweeps in which trials are stopped, with it."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from cluster.folds import Fold, Outcome
from fsamc.config.dotted import validated
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.checks.prepare import seed_draw_pairs
from sweeps.plan.load import load_plan
from sweeps.plan.search_settings import Stopping
from sweeps.plan.settings import Plan, Search
from sweeps.results import tables
from sweeps.results.objective import equivalent_line, equivalents, scored
from sweeps.results.reader import SweepReader, TrialRecord
from sweeps.trials.interrupts import BUDGET
from sweeps.trials.stopping import EarlyStopping
from sweeps.trials.tuner import side_by_side
from tests.sweeps.asleep import budget_spent_after, folds_that_sleep
from tests.sweeps.small import Lab, notes, runs

FOLDS = [Fold(category=name, seed=seed, draw=0, config=FoldConfig()) for seed in (1, 2) for name in "abcd"]


def fold_at(category: str, shots: int) -> Fold:
    return Fold(category=category, seed=1, draw=0, config=FoldConfig(shots=shots))


def scheduler(**stopping) -> EarlyStopping:
    search = Search(stopping=Stopping(**{"kind": "race"} | stopping))
    return EarlyStopping(Plan(name="p", search=search), folds=len(FOLDS))


def told(stopping: EarlyStopping, number: int, scores: list[float | None], folds: list[Fold] = FOLDS) -> list[str]:
    """What Tune is answered, fold by fold; a fold without a score has failed."""
    trial = SimpleNamespace(config={"number": number, "values": {"n": number}, "folds": folds})
    answers = []
    for fold, score in zip(folds, scores, strict=False):
        about = {"category": fold.category, "shots": fold.config.shots}
        result = None if score is None else SimpleNamespace(accuracy=score, **about)
        outcome = Outcome(fold=fold, result=result, error=None if result else "x")
        answers.append(stopping.on_trial_result(None, trial, {"outcome": outcome}))
        if answers[-1] == "STOP":
            return answers
    return [*answers, stopping.on_trial_result(None, trial, {"outcome": None})]


# --- one fold after the other


def test_tune_is_told_to_stop_and_the_recorder_finds_out_why():
    stopping = scheduler()
    assert told(stopping, 0, [0.8] * 8) == ["CONTINUE"] * 9
    assert told(stopping, 1, [0.2] * 8) == ["CONTINUE", "STOP"]
    assert "trial 0" in stopping.reasons[1]
    assert stopping.standings.estimate(1) == pytest.approx(0.2)


def test_a_trial_whose_process_died_tells_its_folds_again_and_is_judged_on_new_ones_only():
    stopping = scheduler(fewest_folds=3)
    told(stopping, 0, [0.8] * 8)
    assert told(stopping, 1, [0.2, 0.2]) == ["CONTINUE"] * 3
    assert told(stopping, 1, [0.2] * 8) == ["CONTINUE", "CONTINUE", "STOP"]


def test_a_trial_with_a_failed_fold_runs_on_so_that_the_failure_is_seen():
    stopping = scheduler()
    told(stopping, 0, [0.8] * 8)
    assert told(stopping, 1, [None, *[0.2] * 7]) == ["CONTINUE"] * 9
    assert not stopping.reasons
    assert stopping.standings.best == 0


def test_trials_race_on_the_same_folds_at_each_number_of_shots():
    """Folds are so much harder at one shot than at two that a race across them would go wrong."""
    one, two = ([fold_at(name, shots) for name in "abcd"] for shots in (1, 2))
    stopping = scheduler(spread=0.05)
    told(stopping, 0, [0.4] * 4 + [0.8] * 4, [*one, *two])
    assert told(stopping, 1, [0.4] * 4 + [0.8] * 4, [*one, *two]) == ["CONTINUE"] * 9  # half way with 0.4 of 0.6
    assert told(stopping, 2, [0.65] * 8, [*two, *one]) == ["CONTINUE", "STOP"]  # with more than 0.6 so far
    assert "15.0 points below trial 0 on the same folds" in stopping.reasons[2]
    assert stopping.standings.estimate(2) == pytest.approx(0.6 - 0.15)


def test_a_category_that_no_average_is_over_stops_no_trial():
    folds = [fold_at(name, 2) for name in "abcdef"]
    averaged = {2: ["a", "b", "c", "d"]}
    stopping = EarlyStopping(Plan(name="p", search=Search(stopping=Stopping(kind="race"))), folds=6, averaged=averaged)
    told(stopping, 0, [0.5, 0.5, 0.5, 0.5, 1.0, 1.0], folds)
    assert stopping.standings.mean(0) == pytest.approx(0.5)
    assert told(stopping, 1, [0.0, 0.0, 0.6, 0.6, 0.6, 0.6], folds[::-1]) == ["CONTINUE"] * 7
    assert stopping.standings.best == 1


def test_a_resumed_sweep_judges_as_the_one_before_would_have():
    scores = {0: [0.6, 0.7, 0.5, 0.8, 0.6, 0.7, 0.5, 0.8], 1: [0.5, 0.6, 0.6, 0.7, 0.5, 0.6, 0.5, 0.6], 2: [0.1, 0.1]}
    before, after = scheduler(), scheduler()
    for number, row in scores.items():
        told(before, number, row)
        after.replay(TrialRecord(number, {}), FOLDS, dict(sorted(before.standings.scores[number].items())))
    assert after.standings.best == before.standings.best
    for row in ([0.6, 0.6, 0.4, 0.7, 0.5, 0.7, 0.5, 0.7], [0.5] * 8, [0.59, 0.69, 0.5, 0.8, 0.6, 0.6, 0.5, 0.8]):
        number = len(before.standings.scores)
        assert told(before, number, row) == told(after, number, row)
        assert before.reasons.get(number) == after.reasons.get(number)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"kind": "race"}, {"kind": "none"}),
        ({"kind": "race"}, {"kind": "median"}),
        ({"kind": "race"}, {"kind": "asha"}),
        ({"confidence": 0.6}, {"confidence": 0.9999}),
        ({"fewest_folds": 2}, {"fewest_folds": 4}),
        ({"spread": 0.01}, {"spread": 0.9}),
        ({"kind": "asha", "reduction": 2}, {"kind": "asha", "reduction": 4}),
        ({"kind": "asha", "fewest_folds": 1}, {"kind": "asha", "fewest_folds": 4}),
        ({"kind": "median", "fewest_trials": 1}, {"kind": "median", "fewest_trials": 3}),
        ({"kind": "median", "fewest_folds": 1}, {"kind": "median", "fewest_folds": 4}),
        ({"kind": "race"}, {"kind": "proved"}),
        ({"kind": "race"}, {"kind": "intensify"}),
    ],
)
def test_a_knob_bites(one, other):
    levels = [0.5, 0.46, 0.55, 0.3, 0.52, 0.4, 0.7]

    def answers(knobs):
        stopping = scheduler(**knobs)
        return [
            told(stopping, n, [level + 0.03 * (k % 3 == n % 3) for k in range(8)]) for n, level in enumerate(levels)
        ]

    assert answers(one) != answers(other)


# --- the plan


@pytest.mark.parametrize(
    ("algorithm", "by"), [("optuna", "race"), ("random", "none"), ("grid", "none"), ("list", "none")]
)
def test_auto_races_only_where_proposals_depend_on_the_order_of_arrival_anyway(algorithm, by):
    assert Search(algorithm=algorithm).stops_by == by
    assert Search(algorithm=algorithm, stopping={"kind": "race"}).stops_by == "race"


@pytest.mark.parametrize(
    "change", ["kind=sometimes", "confidence=0.5", "confidence=1", "fewest_folds=0", "reduction=1"]
)
def test_a_value_that_may_not_be_is_refused_with_its_key(tmp_path, change):
    (tmp_path / "p.yaml").write_text("name: p")
    with pytest.raises(BadInput, match=f"search.stopping.{change.partition('=')[0]}"):
        load_plan(str(tmp_path / "p.yaml"), [f"search.stopping.{change}"])


def test_until_decided_takes_a_rule_that_compares_with_the_best(tmp_path):
    (tmp_path / "p.yaml").write_text("name: p\nsearch: {algorithm: grid, until: decided}")
    with pytest.raises(BadInput, match="race or proved or intensify, found none"):
        load_plan(str(tmp_path / "p.yaml"), [])
    for kind in ("race", "proved", "intensify"):
        assert load_plan(str(tmp_path / "p.yaml"), [f"search.stopping.kind={kind}"]).search.until == "decided"


def test_a_search_is_over_when_nothing_could_be_better_by_the_margin():
    def over(score, **search):
        asked = {"until": "decided", "stopping": {"kind": "race", "margin": 0.05}} | search
        stopping = EarlyStopping(Plan(name="p", search=Search.model_validate(asked)), folds=len(FOLDS))
        proposer = SimpleNamespace(left=lambda: 7)
        assert stopping.left(proposer) == 7
        told(stopping, 0, [score] * 8)
        assert stopping.left(proposer) == (0 if stopping.over() else 7)
        return stopping.over()

    assert over(0.95)
    assert not over(0.94)
    assert not over(1.0, until="budget")
    assert not over(1.0, algorithm="grid")  # whose trials then have a fold each


def test_equivalent_are_those_that_end_or_were_estimated_within_the_margin():
    plan = Plan(name="p", search=Search(until="decided", stopping=Stopping(kind="race", margin=0.02)))
    board = pd.DataFrame({"trial": [3, 0, 1], "objective": [0.9, 0.88, 0.879], "mean": [0.9, 0.88, 0.879]})
    assert equivalents(plan, board, {7: 0.885, 5: 0.6}) == [0, 3, 7]
    line = "equivalent: 0, 3, 7; within 2 points of the best, as race decided"
    assert equivalent_line(plan, board, {7: 0.885, 5: 0.6}) == line
    assert equivalent_line(Plan(name="p"), board, {}) == ""
    assert equivalents(plan, board.iloc[:0], {7: 0.9}) == []


# --- the order of folds, and how many are under way


@pytest.mark.parametrize(("seeds", "draws"), [((1,), (0,)), ((1, 2), (0,)), ((1, 2), (0, 1, 2)), ((1, 2, 3), (0, 1))])
def test_every_seed_meets_every_draw_once_and_neighbours_differ_in_both(seeds, draws):
    found = list(seed_draw_pairs(seeds, draws))
    assert sorted(found) == [(seed, draw) for seed in seeds for draw in draws]
    assert found[0] == (seeds[0], draws[0])
    if len(draws) > 1:
        assert all(len({seed for seed, _ in found[:n]}) == n for n in range(1, len(seeds) + 1))


@pytest.mark.parametrize(
    ("kind", "workers", "left", "expected"),
    [
        ("none", 2, 20, (2, 1)),  # one trial has all workers
        ("none", 16, 20, (8, 2)),
        ("race", 2, 20, (1, 2)),  # a fold of each: none is in flight when its trial is stopped
        ("race", 16, 20, (1, 16)),
        ("race", 16, 4, (4, 4)),  # fewer trials than workers
        ("race", 64, 4, (8, 8)),
    ],
)
def test_trials_that_may_be_stopped_have_few_folds_in_flight_and_workers_are_busy(kind, workers, left, expected):
    plan = validated(Plan, {"name": "p", "search": {"stopping": {"kind": kind}}})
    assert side_by_side(plan, workers=workers, folds=8, left=left) == expected
    asked = validated(Plan, {"name": "p", "resources": {"folds_at_once": 3}, "search": {"stopping": {"kind": kind}}})
    assert side_by_side(asked, workers=workers, folds=8, left=left)[0] == 3


# --- whole sweeps


RACE = {
    "search": {"algorithm": "list", "stopping": {"kind": "race", "confidence": 0.6, "spread": 0.02}},
    "space": {},
    "configurations": [
        {"representation.patches": 60},
        {"representation.patches": 1},
        {"representation.parts": ["raw"]},
        {"representation.patches": 1, "representation.parts": ["raw"]},
        {"representation.patches": 2},
    ],
    "folds": {"seeds": [1, 2]},
    "resources": {"workers": 1, "gpus": 0},
}
N_FOLDS = 4  # of a trial


@pytest.mark.ray
def test_a_sweep_stops_trials_goes_on_after_its_budget_is_spent_and_tells_everybody(lab: Lab, capfd):
    words, out = lab.words(lab.plan(**RACE), "--time-budget", "10h"), lab.root / "out"
    with folds_that_sleep(0.05):
        with budget_spent_after(9, out):
            lab.finish([*words, "--quiet"])
        output, errors = capfd.readouterr()
        assert errors == ""
        assert re.fullmatch(rf"{BUDGET} after .* of 6 trials; the same command goes on", output.splitlines()[-1])
        assert notes(out)["status"] == "paused"
        assert (out / "report.html").exists()
        early = SweepReader(out).folds
        assert 9 <= len(early) < 6 * N_FOLDS
        lab.finish(words)
    records = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines()]
    stopped = {record["trial"]: record["stopped"] for record in records if "stopped" in record}
    assert stopped
    assert 0 not in stopped
    folds = SweepReader(out).folds
    assert len(folds) == len(folds.drop_duplicates(["trial", *tables.FOLD]))
    counts = folds.groupby("trial").size()
    assert {n: count == N_FOLDS for n, count in counts.items()} == {n: n not in stopped for n in range(6)}
    assert notes(out)["status"] == "done"
    assert notes(out)["trials_stopped"] == len(stopped)
    assert notes(out)["folds_scored"] + notes(out)["folds_saved"] == 6 * N_FOLDS
    _assert_tracked(out, folds, stopped)
    done = early[early["trial"].map(early.groupby("trial").size()) == N_FOLDS]
    both = pd.merge(done, folds, on=["trial", *tables.FOLD])
    assert (both["accuracy_x"] == both["accuracy_y"]).all()


def _assert_tracked(out, folds, stopped):
    estimates = {record.number: record.estimate for record in SweepReader(out).trials}
    parents, children = runs(out)
    assert [run.info.status for run in parents] == ["FINISHED"]
    assert {run.info.status for run in children.values()} == {"FINISHED"}
    best = tables.over_shots(tables.summarise(folds)).query("category == 'average'")["mean"].max()
    assert parents[0].data.metrics["best_accuracy"] == pytest.approx(best)
    for number, run in children.items():
        of_trial = folds[folds["trial"] == number]
        assert run.data.tags.get("stopped") == stopped.get(number)
        assert ("accuracy" in run.data.metrics) == (number not in stopped)
        if number in stopped:
            assert run.data.metrics == {"accuracy_estimate": estimates[number], "folds": len(of_trial)}


@pytest.mark.ray
@pytest.mark.parametrize(
    ("objective", "reports"),
    [
        ({}, ["report.md", "report.html"]),
        pytest.param({"kind": "transfer", "target": ["cap"]}, ["report.md", "report.html"], marks=pytest.mark.slow),
        pytest.param({"kind": "pseudo"}, [], marks=pytest.mark.slow),
    ],
)
def test_a_trial_has_one_number_in_study_mlflow_report_and_events_and_a_stopped_one_an_estimate(
    lab: Lab, objective, reports, capfd
):
    choices = {
        "representation.patches": {"choice": [1, 5, 60]},
        "representation.parts": {"choice": [["residual"], ["raw"]]},
    }
    search = {"algorithm": "optuna", "trials": 6, "stopping": {"confidence": 0.6, "spread": 0.02}}
    parts = RACE | {"configurations": [], "space": choices, "search": search, "objective": objective}
    more = ["folds.seeds=[1,2,3]", "folds.draws=[1,2]"] if "target" in objective else []  # whose folds have no say
    with folds_that_sleep(report=bool(reports)):
        out = lab.sweep(lab.plan(**parts), "base.pseudo.per_class=8", *more, "--json")
    events = {(one["event"], one.get("trial")): one for one in map(json.loads, capfd.readouterr().out.splitlines())}
    saved, (_, children) = SweepReader(out), runs(out)
    opened = optuna.load_study(study_name=saved.plan.name, storage=f"sqlite:///{out / 'study.db'}")
    study, chosen_by = opened.trials, scored(saved.plan, saved.finished, saved.measured)
    name = "objective" if objective else "accuracy"
    assert opened.metric_names == [name]
    estimates = {record.number: record.estimate for record in saved.trials if record.stopped}
    assert estimates
    for number, mean in tables.trial_scores(chosen_by)["mean"].drop([*estimates]).items():
        assert (study[number].state, study[number].value) == (TrialState.COMPLETE, pytest.approx(mean, abs=1e-12))
        assert study[number].user_attrs[name] == study[number].value
        of_trial = chosen_by.loc[chosen_by["trial"] == number, "accuracy"]
        assert sorted(study[number].intermediate_values.values()) == sorted(of_trial)
        assert children[number].data.metrics[name] == pytest.approx(mean, abs=1e-12)
    for number, estimate in estimates.items():
        assert (study[number].state, study[number].values) == (TrialState.PRUNED, None)
        of_trial = chosen_by.loc[chosen_by["trial"] == number, "accuracy"]
        assert sorted(study[number].intermediate_values.values()) == sorted(of_trial)
        assert study[number].user_attrs[f"{name}_estimate"] == estimate
        assert children[number].data.metrics[f"{name}_estimate"] == estimate
        assert not {"accuracy", "objective"} & children[number].data.metrics.keys()
        assert children[number].data.tags["stopped"] == events["trial_stopped", number]["reason"]
        assert events["trial_stopped", number]["estimate"] == estimate
        for report in reports:
            text = re.sub("<[^>]*>| *[|] *", " ", (out / report).read_text())
            assert events["trial_stopped", number]["reason"].partition(":")[0] in text
            assert re.search(rf"\b{number} [(]stopped[)]\s+{tables.percent(estimate)} [(]estimate[)]", text)
