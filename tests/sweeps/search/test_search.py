from __future__ import annotations

import math
from collections import Counter

import optuna
import pytest

from fsamc.config.dotted import validated
from fsamc.errors import BadInput
from sweeps.plan.configurations import base_values, configuration
from sweeps.plan.settings import Plan
from sweeps.plan.space import active
from sweeps.search import Home, make_proposer
from sweeps.search.distributions import as_text

SPACE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    "pretrain.stop_threshold": {"uniform": [0.2, 0.8]},
    "pretrain.lr": {"loguniform": [1e-5, 1e-1]},
    "representation.patches": {"integers": [1, 4]},
}
NUMBERS = {key: SPACE[key] for key in ("pretrain.stop_threshold", "pretrain.lr", "representation.patches")}
TRAINED = {"head.kind": ["contrastive"]}
CONDITIONAL = {
    "finetune.lr": {"loguniform": [1e-5, 1e-1], "when": {"finetune.epochs.2": [8, 9, 10, 11, 12]}},
    "finetune.epochs.2": {"integers": [2, 12], "when": TRAINED},
    **SPACE,
}
Q = "pretrain.queries"
DISCRETE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    Q: {"choice": [1, 2, 3]},
    "finetune.epochs.3": {"choice": [4, 8], "when": {**TRAINED, Q: [3]}},
}
SMALL = 7  # configurations of DISCRETE: 2 x 3, and one more with trained heads at three queries
QUERIES = {"pretrain": {"queries": 2}}


def plan(algorithm, space=SPACE, trials=6, seed=0, search=None, **base):
    how = {"algorithm": algorithm, "trials": trials, "seed": seed, **(search or {})}
    return validated(Plan, {"name": "p", "base": QUERIES | base, "space": space, "search": how})


def listed(*entries, **base):
    return validated(
        Plan, {"name": "p", "base": QUERIES | base, "configurations": entries, "search": {"algorithm": "list"}}
    )


def optuna_plan(sampler="tpe", space=SPACE, **more):
    startup = more.pop("startup", 4)
    return plan("optuna", space, search={"sampler": sampler, "startup": startup, **more.pop("search", {})}, **more)


def score(values):
    """Something to learn: good where the numbers are large."""
    return sum(math.atan(float(value)) for value in values.values() if not isinstance(value, str)) / 10


def run(proposer, most=math.inf):
    """Trial after trial with its score, at most so many."""
    found = []
    while len(found) < most and (proposal := proposer.propose()):
        found.append(proposal)
        proposer.tell(proposal.number, score(proposal.values), seconds=1.0 + proposal.number % 3, std=0.1)
    return found


def proposals(plan, scores=None):
    proposer = make_proposer(plan)
    found = []
    while proposal := proposer.propose():
        found.append(proposal.values)
        proposer.tell(proposal.number, scores(proposal.values) if scores else 0.5)
    assert len(found) == proposer.count()
    assert proposer.left() == 0
    return found


# --- the contract: what holds for every proposer

PLANS = {
    "grid": lambda seed=0: plan("grid", DISCRETE, seed=seed),
    "list": lambda seed=0: listed(
        {Q: 1},
        {"good": True},
        {Q: 3},
        {Q: 1, "good": True},
    ),
    "random": lambda seed=0: plan("random", trials=9, seed=seed),
    "random, conditional": lambda seed=0: plan("random", CONDITIONAL, trials=9, seed=seed),
    "random, small": lambda seed=0: plan("random", DISCRETE, trials=20, seed=seed),
    "tpe": lambda seed=0: optuna_plan(trials=9, seed=seed),
    "tpe, conditional": lambda seed=0: optuna_plan(space=CONDITIONAL, trials=12, seed=seed),
    "tpe, small": lambda seed=0: optuna_plan(space=DISCRETE, trials=20, seed=seed),
    "tpe, two goals": lambda seed=0: optuna_plan(
        space=CONDITIONAL, trials=9, seed=seed, search={"goals": ["accuracy", "seconds"]}
    ),
    "gp": lambda seed=0: optuna_plan("gp", NUMBERS, trials=6, seed=seed),
    "gp, conditional": lambda seed=0: optuna_plan("gp", CONDITIONAL, trials=6, seed=seed),
    "cmaes": lambda seed=0: optuna_plan("cmaes", NUMBERS, trials=14, seed=seed),
}


@pytest.fixture(scope="module", params=PLANS)
def case(request):
    """A plan's maker, and the trials of an undisturbed search."""
    make = PLANS[request.param]
    return make, run(make_proposer(make()))


class TestEveryProposer:
    def test_the_base_comes_first_and_there_are_as_many_as_counted_in_order(self, case):
        make, found = case
        assert found[0] == (0, base_values(make()))
        assert [number for number, _ in found] == list(range(make_proposer(make()).count()))

    def test_no_configuration_comes_twice(self, case):
        assert len({as_text(values) for _, values in case[1]}) == len(case[1])

    def test_every_configuration_is_valid_in_its_range_and_has_the_keys_whose_conditions_are_met(self, case):
        asked = case[0]()
        for _, values in case[1][1:]:
            configuration(asked, values)
            if asked.space:
                everything = {key: values.get(key, "not there") for key in asked.space}
                assert active(asked.space, asked.base, everything) == values
            for key, value in values.items():
                given = asked.space.get(key)
                low, high = (given and (given.uniform or given.loguniform or given.integers)) or (value, value)
                assert given is None or given.choice is None or value in given.choice
                assert low <= value <= high

    def test_the_same_seed_gives_the_same(self, case):
        make, found = case
        assert run(make_proposer(make())) == found

    def test_another_seed_gives_others_where_there_is_chance(self, case):
        make, found = case
        other = run(make_proposer(make(seed=1)))
        assert (other[1:] != found[1:]) == (make().search.algorithm in ("random", "optuna"))

    def test_a_resumed_search_goes_on_as_if_nothing_had_been(self, case, tmp_path):
        (make, found), known = case, 5
        home = Home(out=tmp_path, run="a", data="d")
        assert run(make_proposer(make(), home), known) == found[:known]
        resumed = make_proposer(make(), home)
        for number, values in found[:known]:
            resumed.replay(number, values)
            resumed.tell(number, score(values), seconds=1.0 + number % 3, std=0.1)
        assert resumed.left() == len(found) - known
        assert run(resumed) == found[known:]

    def test_what_a_damaged_out_has_forgotten_is_proposed_again_with_its_number(self, case, tmp_path):
        (make, found), forgotten = case, {0, 3}
        home = Home(out=tmp_path, run="a", data="d")
        run(make_proposer(make(), home), 5)
        resumed = make_proposer(make(), home)
        for number, values in found[:5]:
            if number not in forgotten:
                resumed.replay(number, values)
        assert resumed.left() == len(found) - 5 + len(forgotten)
        assert run(resumed, len(forgotten)) == [one for one in found if one.number in forgotten]
        assert run(resumed) == found[5:]

    @pytest.mark.parametrize("fails", [False, True], ids=["under way", "failed"])
    def test_what_is_under_way_or_has_failed_is_not_proposed_again(self, case, fails):
        proposer, found = make_proposer(case[0]()), []
        while proposal := proposer.propose():
            found.append(as_text(proposal.values))
            if fails:
                proposer.tell(proposal.number, None)
        assert len({*found}) == len(found) == proposer.count()

    def test_what_is_foreseen_is_what_comes(self, case):
        proposer = make_proposer(case[0]())
        proposer.propose()
        if (foreseen := proposer.foreseen()) is not None:
            assert [*foreseen] == [values for _, values in case[1]]

    @pytest.mark.parametrize("keys", [(), ("head.kind",), (Q, "head.kind")])
    def test_what_is_counted_by_some_keys_is_what_comes(self, case, keys):
        counted = make_proposer(case[0]()).counted_by(keys)
        if counted is not None:
            trials = [values for _, values in case[1]]
            counts: Counter[str] = Counter()
            for values, count in counted:
                assert values in trials
                counts[as_text({key: values.get(key) for key in keys})] += count
            assert counts == Counter(as_text({key: values.get(key) for key in keys}) for values in trials)


# --- searches of a space that may be endless


@pytest.mark.parametrize("algorithm", ["random", "optuna"])
class TestBudgeted:
    def test_choices_may_be_lists_mappings_and_nothing(self, algorithm):
        choices = {
            "features.layers": [["layer1", "layer2"], ["layer2", "layer3"]],
            "finetune.epochs": [{2: 4}, {2: 8, 5: 2}],
            "features.resize": [None, 256],
        }
        space = {key: {"choice": values} for key, values in choices.items()}
        asked = plan(algorithm, space, trials=12, features={"fit": "crop"})
        found = proposals(asked)[1:]
        assert len(found) == 8  # the base has other epochs
        for values in found:
            assert list(values["features.layers"]) in choices["features.layers"]
            assert values["finetune.epochs"] in choices["finetune.epochs"]
            assert values["features.resize"] in choices["features.resize"]
            assert configuration(asked, values).features.layers == tuple(values["features.layers"])

    def test_a_small_space_is_tried_once_and_said_so_beforehand(self, algorithm):
        asked = plan(algorithm, DISCRETE, trials=20)
        assert make_proposer(asked).count() == SMALL
        assert "7 configurations, fewer than search.trials 20" in make_proposer(asked).notice()
        every = proposals(plan("grid", DISCRETE))
        assert sorted(map(as_text, proposals(asked))) == sorted(map(as_text, every))
        assert make_proposer(plan(algorithm, DISCRETE, trials=SMALL)).notice() == ""
        assert make_proposer(plan(algorithm, trials=500)).notice() == ""


# --- grid and list

TREE = {"head.kind": {"choice": ["prototype", "contrastive"]}, Q: {"choice": [1, 2, 5]}}
CONTRASTIVE = {"kind": "contrastive"}
SILENT = ({"good": True}, {Q: 5, "head.kind": "prototype"}, {Q: 1})


@pytest.mark.parametrize(
    ("asked", "keys", "expected"),
    [
        (plan("grid", TREE, head=CONTRASTIVE), ["head.kind", Q], ["c2", "p1", "p2", "p5", "c1", "c5"]),
        (plan("grid", {Q: {"choice": [1, 3, 4]}}, trials=2), [Q], ["2", "1", "3", "4"]),
        (listed(*SILENT, head=CONTRASTIVE), ["good", Q, "head.kind"], ["F2c", "T2c", "F5p", "F1c"]),
        (listed({Q: 2}, {Q: 3}, pretrain={"queries": 2}), [Q], ["2", "3"]),
        *((plan(algorithm, {}, trials=9), [], [""]) for algorithm in ("grid", "random", "optuna")),
        (listed(), [], [""]),
    ],
    ids=["grid", "base outside", "list", "entry of the base", "empty grid", "random", "optuna", "empty list"],
)
def test_the_base_comes_first_and_then_each_combination_or_entry_in_order(asked, keys, expected):
    found = proposals(asked)
    assert ["".join(str(value)[0] for value in values.values()) for values in found] == expected
    assert all([*values] == keys for values in found)


# --- random


def test_a_random_trial_is_the_same_however_many_there_are():
    assert proposals(plan("random", trials=30))[:20] == proposals(plan("random", trials=20))


def test_a_condition_changes_no_value_of_another_key():
    with_it = proposals(plan("random", CONDITIONAL, trials=20))
    always = {key: {**given, "when": {}} for key, given in CONDITIONAL.items()}
    without = proposals(plan("random", always, trials=20))
    assert [values.keys() for values in with_it] != [values.keys() for values in without]
    assert all(values.items() <= whole.items() for values, whole in zip(with_it[1:], without[1:], strict=True))


def test_random_draws_cover_their_ranges_evenly():
    found = proposals(plan("random", trials=2001))[1:]
    half = sum(values["pretrain.stop_threshold"] < 0.5 for values in found)
    assert abs(half - 1000) < 90  # 4 standard deviations
    assert abs(sum(values["head.kind"] == "prototype" for values in found) - 1000) < 90
    decades = [math.floor(math.log10(values["pretrain.lr"])) for values in found]
    assert all(abs(decades.count(decade) - 500) < 80 for decade in (-5, -4, -3, -2))
    for number in (1, 2, 3, 4):
        assert abs(sum(values["representation.patches"] == number for values in found) - 500) < 80


# --- optuna

ONE = {"pretrain.stop_threshold": {"uniform": [0.0, 1.0]}}


def near(values):
    return 1 - abs(values["pretrain.stop_threshold"] - 0.9)


def test_optuna_learns_where_it_is_good():
    found = [values["pretrain.stop_threshold"] for values in proposals(plan("optuna", ONE, trials=40), near)]
    late, early = found[-10:], found[1:11]
    assert sum(abs(x - 0.9) for x in late) < 0.5 * sum(abs(x - 0.9) for x in early)


def test_only_the_first_word_about_a_trial_counts():
    first, second = (make_proposer(plan("optuna", ONE, trials=14)) for _ in range(2))
    for number in range(12):
        assert first.propose() == second.propose()
        first.tell(number, number / 20)
        second.tell(number, number / 20)
        second.tell(number, 1 - number / 20)
    assert first.propose() == second.propose()


def test_with_a_second_goal_it_looks_for_speed_too():
    asked = plan("optuna", ONE, trials=40, search={"goals": ["accuracy", "seconds"]})
    proposer = make_proposer(asked)
    found = []
    while proposal := proposer.propose():
        value = proposal.values["pretrain.stop_threshold"]
        found.append(value)
        proposer.tell(proposal.number, 0.5, seconds=value)
    assert sum(found[-10:]) < 0.5 * sum(found[1:11])


@pytest.mark.parametrize(
    ("space", "search", "words"),
    [
        (SPACE, {}, "space.head.kind is a choice"),
        (
            {**NUMBERS, "representation.patches": {"integers": [1, 4], "when": {Q: [2]}}},
            {},
            "space.representation.patches has `when`",
        ),
        (ONE, {}, "two keys"),
        (NUMBERS, {"goals": ["accuracy", "seconds"]}, "one goal"),
    ],
)
def test_what_cmaes_cannot_do_is_said_before_anything_runs(space, search, words):
    with pytest.raises(BadInput, match=words):
        make_proposer(plan("optuna", space, search={"sampler": "cmaes", **search}))


def test_optuna_is_as_quiet_as_before(capfd):
    run(make_proposer(optuna_plan(space=CONDITIONAL, trials=8)))
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.WARNING
