from __future__ import annotations

import itertools
import math

import pytest

from fsamc.config import Plan
from fsamc.config.dotted import validated
from sweeps.plan import configuration
from sweeps.search import make_proposer

SPACE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    "pretrain.stop_threshold": {"uniform": [0.2, 0.8]},
    "pretrain.lr": {"loguniform": [1e-5, 1e-1]},
    "head.patches": {"integers": [1, 4]},
}


def plan(algorithm, space=SPACE, trials=6, seed=0, **base):
    search = {"algorithm": algorithm, "trials": trials, "seed": seed}
    return validated(Plan, {"name": "p", "base": base, "space": space, "search": search})


def proposals(plan, scores=None):
    proposer = make_proposer(plan)
    found = []
    for number in range(proposer.count()):
        found.append(proposer.propose(number))
        proposer.tell(number, scores(found[-1]) if scores else 0.5)
    assert proposer.propose(proposer.count()) is None
    return found


def points(values):
    return [tuple(value.items()) for value in values]


# --- what holds for every algorithm


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
class TestBudgeted:
    def test_trial_0_is_the_base_and_there_are_as_many_as_asked(self, algorithm):
        found = proposals(plan(algorithm))
        base = {"head.kind": "contrastive", "pretrain.stop_threshold": 0.4, "pretrain.lr": 1e-4, "head.patches": 40}
        assert found[0] == base
        assert len(found) == 6

    def test_values_lie_in_their_ranges_and_configurations_are_valid(self, algorithm):
        asked = plan(algorithm, trials=40)
        for values in proposals(asked)[1:]:
            assert list(values) == list(SPACE)
            assert values["head.kind"] in ("prototype", "contrastive")
            assert 0.2 <= values["pretrain.stop_threshold"] <= 0.8
            assert 1e-5 <= values["pretrain.lr"] <= 1e-1
            assert values["head.patches"] in (1, 2, 3, 4)
            assert configuration(asked, values).head.patches == values["head.patches"]

    def test_the_same_seed_gives_the_same_and_another_seed_others(self, algorithm):
        assert proposals(plan(algorithm)) == proposals(plan(algorithm))
        assert proposals(plan(algorithm))[1:] != proposals(plan(algorithm, seed=1))[1:]

    def test_continuous_values_never_repeat(self, algorithm):
        found = proposals(plan(algorithm, trials=30))
        assert len(set(points(found))) == 30

    def test_a_resumed_search_goes_on_and_repeats_nothing(self, algorithm):
        asked = plan(algorithm, trials=12)
        before = proposals(asked)[:5]
        resumed = make_proposer(asked)
        for number, values in enumerate(before):
            resumed.replay(number, values)
            resumed.tell(number, 0.1 * number if number != 3 else None)
        after = [resumed.propose(number) for number in range(5, 12)]
        assert None not in after
        assert len(set(points([*before, *after]))) == 12

    def test_a_base_outside_of_the_space_does_no_harm(self, algorithm):
        space = {"head.kind": {"choice": ["prototype"]}, "head.patches": {"integers": [1, 4]}}
        found = proposals(plan(algorithm, space, trials=8))
        assert found[0] == {"head.kind": "contrastive", "head.patches": 40}
        assert {values["head.kind"] for values in found[1:]} == {"prototype"}

    def test_choices_may_be_lists_mappings_and_nothing(self, algorithm):
        choices = {
            "features.layers": [["layer1", "layer2"], ["layer2", "layer3"]],
            "finetune.epochs": [{2: 4}, {2: 8, 5: 2}],
            "features.resize": [None, 256],
        }
        space = {key: {"choice": values} for key, values in choices.items()}
        asked = plan(algorithm, space, trials=12, features={"fit": "crop"})
        for values in proposals(asked)[1:]:
            assert all(list(values[key]) in choices[key] for key in ["features.layers"])
            assert values["finetune.epochs"] in choices["finetune.epochs"]
            assert values["features.resize"] in choices["features.resize"]
            assert configuration(asked, values).features.layers == tuple(values["features.layers"])

    def test_nothing_swept_is_one_trial(self, algorithm):
        assert proposals(plan(algorithm, {}, trials=9)) == [{}]


# --- grid


def test_a_grid_is_the_base_then_every_other_combination_once():
    space = {"head.kind": {"choice": ["prototype", "contrastive"]}, "shots": {"choice": [1, 2, 5]}}
    found = proposals(plan("grid", space))
    assert found[0] == {"head.kind": "contrastive", "shots": 2}
    every = [{"head.kind": k, "shots": n} for k, n in itertools.product(("prototype", "contrastive"), (1, 2, 5))]
    assert sorted(points(found)) == sorted(points(every))
    assert found[1:] == [values for values in every if values != found[0]]


def test_a_grid_around_a_base_outside_of_it_has_one_trial_more():
    found = proposals(plan("grid", {"shots": {"choice": [1, 3]}}))
    assert found == [{"shots": 2}, {"shots": 1}, {"shots": 3}]


def test_a_grid_over_nothing_is_the_base():
    assert proposals(plan("grid", {})) == [{}]


def test_a_grid_takes_no_notice_of_the_number_of_trials():
    assert len(proposals(plan("grid", {"shots": {"choice": [1, 2, 3, 4, 5]}}, trials=2))) == 5


# --- list


def listed(*entries, **base):
    search = {"algorithm": "list"}
    return validated(Plan, {"name": "p", "base": base, "configurations": entries, "search": search})


def test_a_list_is_the_base_then_the_entries_in_their_order_which_are_the_base_where_they_are_silent():
    found = proposals(listed({"residual": False}, {"shots": 5, "head.kind": "prototype"}, {"shots": 1}))
    assert found == [
        {"residual": True, "shots": 2, "head.kind": "contrastive"},
        {"residual": False, "shots": 2, "head.kind": "contrastive"},
        {"residual": True, "shots": 5, "head.kind": "prototype"},
        {"residual": True, "shots": 1, "head.kind": "contrastive"},
    ]


def test_an_entry_that_is_the_base_itself_is_not_run_twice():
    assert proposals(listed({"shots": 2}, {"shots": 3}, shots=2)) == [{"shots": 2}, {"shots": 3}]


def test_a_list_of_nothing_is_the_base():
    assert proposals(listed()) == [{}]


def test_a_list_is_not_a_product():
    assert len(proposals(listed({"shots": 1}, {"residual": False}))) == 3
    grid = {"shots": {"choice": [2, 1]}, "residual": {"choice": [True, False]}}
    assert len(proposals(plan("grid", grid))) == 4


def test_a_resumed_list_goes_on_where_it_stopped():
    asked = listed({"shots": 1}, {"residual": False}, {"shots": 3})
    assert make_proposer(asked).propose(2) == proposals(asked)[2]


# --- random


def test_a_random_trial_is_the_same_whatever_came_before():
    asked = plan("random", trials=20)
    whole = proposals(asked)
    assert make_proposer(asked).propose(13) == whole[13]
    assert [make_proposer(plan("random", trials=30)).propose(n) for n in range(20)] == whole


def test_random_draws_cover_their_ranges_evenly():
    found = proposals(plan("random", trials=2001))[1:]
    half = sum(values["pretrain.stop_threshold"] < 0.5 for values in found)
    assert abs(half - 1000) < 90  # 4 standard deviations
    decades = [math.floor(math.log10(values["pretrain.lr"])) for values in found]
    assert all(abs(decades.count(decade) - 500) < 80 for decade in (-5, -4, -3, -2))
    for number in (1, 2, 3, 4):
        assert abs(sum(values["head.patches"] == number for values in found) - 500) < 80


# --- optuna


def test_optuna_learns_where_it_is_good():
    space = {"pretrain.stop_threshold": {"uniform": [0.0, 1.0]}}

    def score(values):
        return 1 - abs(values["pretrain.stop_threshold"] - 0.9)

    found = [values["pretrain.stop_threshold"] for values in proposals(plan("optuna", space, trials=40), score)]
    late, early = found[-10:], found[1:11]
    assert sum(abs(x - 0.9) for x in late) < 0.5 * sum(abs(x - 0.9) for x in early)


def test_optuna_learns_from_what_an_earlier_run_told():
    space = {"pretrain.stop_threshold": {"uniform": [0.0, 1.0]}}
    asked = plan("optuna", space, trials=40)
    resumed = make_proposer(asked)
    for number in range(30):
        value = number / 30
        resumed.replay(number, {"pretrain.stop_threshold": value})
        resumed.tell(number, 1 - abs(value - 0.9))
    late = [resumed.propose(number)["pretrain.stop_threshold"] for number in range(30, 40)]
    assert sum(abs(value - 0.9) for value in late) / 10 < 0.25


def test_optuna_takes_a_failed_trial_for_no_answer():
    proposer = make_proposer(plan("optuna"))
    first = [proposer.propose(number) for number in range(3)]
    proposer.tell(1, None)
    proposer.tell(1, 0.9)  # told again: the first word holds
    assert proposer.propose(3) not in first
