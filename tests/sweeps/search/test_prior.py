"""Warm starts: the first trials of a search come from near the best of earlier sweeps, for as long as that pays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fsamc.config.dotted import validated
from fsamc.errors import BadInput
from sweeps.plan.load import load_plan, plan_hash
from sweeps.plan.settings import Plan
from sweeps.results.reader import SweepReader
from sweeps.search import make_proposer
from sweeps.search.distributions import share_of_value, value_of_share
from sweeps.search.prior import Prior, has_turn, read_prior
from tests.sweeps.outs import PLAN, Out

SPACE = {
    "head.kind": {"choice": ["prototype", "contrastive"]},
    "representation.patches": {"integers": [1, 5000]},
    "reference.ratio": {"loguniform": [0.02, 0.2]},
}


def plan(**search: object) -> Plan:
    return validated(Plan, {"name": "next", "space": SPACE, "search": {"trials": 30, **search}})


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The folder of a sweep whose third trial is best."""
    out = Out(tmp_path / "earlier")
    for number in range(3):
        out.trial(number, dict.fromkeys(out.scores(number), 2 + 3 * number))
    out.end()
    return out.root


def test_good_trials_are_the_best_of_each_sweep_in_keys_of_this_space(earlier):
    found = read_prior(plan(prior={"sweeps": [str(earlier)], "best": 1}))
    (best,) = found.good
    values = {one.number: one.values for one in SweepReader(earlier).trials}
    assert best == values[2]
    assert len(read_prior(plan(prior=[str(earlier)])).good) == 3
    assert read_prior(plan()) is None


def test_a_list_of_folders_is_a_prior_and_off_by_default(earlier):
    assert plan(prior=[str(earlier)]).search.prior.sweeps == (str(earlier),)
    assert PLAN.search.prior.sweeps == ()
    assert plan_hash(load_plan(None, ["search.prior.best=2"])) == plan_hash(load_plan(None))
    with pytest.raises(BadInput, match=r"search.prior goes with search.algorithm: optuna"):
        validated(Plan, {"name": "x", "search": {"algorithm": "random", "prior": [str(earlier)]}})


def test_a_folder_that_says_nothing_of_this_space_is_bad_input(earlier, tmp_path):
    other = plan(prior=[str(earlier)]).model_copy(
        update={"space": {"reference.ratio": plan().space["reference.ratio"]}}
    )
    with pytest.raises(BadInput, match=r"no trial there says anything of reference\.ratio; leave it out"):
        read_prior(other)
    with pytest.raises(BadInput, match="give the OUT folder of a sweep"):
        make_proposer(plan(prior=[str(tmp_path / "nothing")]))


def test_draws_lie_near_a_good_trial_and_stray_as_often_as_they_should():
    asked = plan(prior={"stray": 0.2, "spread": 0.05})
    prior = Prior([{"head.kind": "contrastive", "representation.patches": 2500}])
    drawn = [prior.draw(asked, np.random.default_rng(seed)) for seed in range(400)]
    kinds = sum(one["head.kind"] == "contrastive" for one in drawn) / len(drawn)
    assert kinds == pytest.approx(0.8 + 0.2 / 2, abs=0.05)
    near = sum(abs(one["representation.patches"] - 2500) < 2 * 0.05 * 5000 for one in drawn) / len(drawn)
    assert near == pytest.approx(0.8 * 0.954 + 0.2 * 0.2, abs=0.06)
    ratios = [one["reference.ratio"] for one in drawn]  # which the trial does not have
    assert np.quantile(ratios, 0.5) == pytest.approx((0.02 * 0.2) ** 0.5, rel=0.25)


@pytest.mark.parametrize("key", ["representation.patches", "reference.ratio"])
def test_a_value_s_share_is_where_the_range_has_it(key):
    distribution = plan().space[key]
    for share in (0.0, 0.3, 0.77, 0.999):
        value = value_of_share(distribution, share)
        assert value_of_share(distribution, share_of_value(distribution, value)) == pytest.approx(value)


def test_the_prior_has_turns_until_it_has_missed_twice_more_often_than_hit():
    turns = {"startup": 10, "misses": 2}
    base, hit, miss = (False, 0.5), (True, 0.6), (True, 0.4)
    assert has_turn([base], proposed=1, **turns)
    assert has_turn([base, miss], proposed=2, **turns)
    assert not has_turn([base, miss, miss], proposed=3, **turns)
    assert has_turn([base, hit, miss, miss], proposed=4, **turns)
    assert not has_turn([base, hit, miss, miss, (True, None)], proposed=5, **turns)
    assert not has_turn([base, hit], proposed=10, **turns), "only in the place of random draws"


def test_a_search_goes_on_at_random_where_the_prior_misleads(earlier):
    asked = plan(prior={"sweeps": [str(earlier)], "best": 1, "stray": 0.0, "spread": 0.001})
    good = read_prior(asked).good[0]

    def search(score) -> list[bool]:
        proposer, near = make_proposer(asked), []
        for _ in range(8):
            number, values = proposer.propose()
            near.append(all(abs(values[key] - good[key]) < 50 for key in ["representation.patches"]))
            proposer.tell(number, score(number, near[-1]))
        return near[1:]

    assert all(search(lambda number, near: 0.9 if near else 0.5))
    misled = search(lambda number, near: 0.1 if near and number else 0.5)
    assert misled[0]
    assert sum(misled) < 3, "a draw from all of the range comes so near one time in a hundred"
