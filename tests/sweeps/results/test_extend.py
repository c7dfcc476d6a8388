"""What `--extend N` and a folder that keeps its words mean, without running anything."""

from __future__ import annotations

import json

import pytest

from fsamc.config.dotted import validated
from fsamc.errors import BadInput
from fsamc.store.durable import write_whole
from sweeps.plan.load import load_plan, plan_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.results.files import read_json
from sweeps.results.identity import IDENTITY, check_resumable, claim, end_extension, extended, with_trials
from sweeps.results.saved_settings import SavedSettings, read_saved_settings, saved_changes

DATA = {"category cap": "c1"}
PLAN = validated(
    Plan,
    {
        "name": "p",
        "space": {"pretrain.queries": {"choice": [2, 3]}},
        "base": {"features": {"backbone": "resnet18", "weights": "random"}},
        "search": {"algorithm": "random", "trials": 4},
    },
)


@pytest.fixture
def out(tmp_path):
    claim(tmp_path / "out", PLAN, DATA)
    return tmp_path / "out"


def plan_in(out) -> Plan:
    return load_plan(str(out / "plan.yaml"), saved_changes(read_saved_settings(out)))


def begin(out, more: int) -> int:
    """What a command `--extend MORE` does before it works; the trials that there are to be."""
    plan = plan_in(out)
    check_resumable(out, plan, DATA, "auto")
    raised = extended(plan, out, more)
    claim(out, raised, DATA, extending=more)
    return raised.search.trials


def test_an_extension_that_was_killed_is_gone_on_with_and_adds_nothing(out):
    assert [begin(out, 3), begin(out, 3), begin(out, 3)] == [7, 7, 7]
    end_extension(out)  # done
    assert begin(out, 3) == 10
    end_extension(out)
    assert begin(out, 1) == 11


def test_a_sweep_without_the_flag_goes_on_with_an_open_extension(out):
    begin(out, 3)
    plan = plan_in(out)
    check_resumable(out, plan, DATA, "must")
    claim(out, plan, DATA)
    assert read_json(out / IDENTITY)["extending"] == 3
    assert begin(out, 3) == 7


def test_an_extension_by_another_number_waits_for_the_open_one(out):
    begin(out, 3)
    with pytest.raises(
        BadInput, match=r"--extend 5: .*out is being extended by 3; finish that first: fsamc sweep --out"
    ):
        begin(out, 5)


def test_a_kill_between_the_two_files_loses_nothing(out):
    old = (out / "plan.yaml").read_text()
    begin(out, 3)
    write_whole(out / "plan.yaml", old)  # as if killed before it was written anew
    assert plan_in(out).search.trials == 7
    assert begin(out, 3) == 7


def test_the_number_of_trials_is_all_that_may_differ(out):
    begin(out, 3)
    with pytest.raises(BadInput, match=r"search.trials was 7 and is 4.*fsamc sweep --out"):
        check_resumable(out, PLAN, DATA, "auto")
    assert plan_hash(with_trials(PLAN, 7)) == read_json(out / IDENTITY)["plan"]
    assert to_yaml(with_trials(PLAN, 7)) in (out / "plan.yaml").read_text()


def test_what_has_all_its_trials_cannot_be_extended(out):
    listed = validated(
        Plan, {"name": "l", "configurations": [{"pretrain.queries": 3}], "search": {"algorithm": "list"}}
    )
    grid = validated(
        Plan, {"name": "g", "space": {"pretrain.queries": {"choice": [1]}}, "search": {"algorithm": "grid"}}
    )
    alone = validated(Plan, {"name": "a", "search": {"algorithm": "random"}})
    for plan, words in ((listed, "a list"), (grid, "a grid"), (alone, "a plan without a space")):
        with pytest.raises(BadInput, match=f"--extend 2: {words} has all of its trials"):
            extended(plan, out, 2)


def test_the_words_are_those_that_the_sweep_noted(out, tmp_path):
    assert read_saved_settings(tmp_path / "none") == SavedSettings()
    materials = {"data": "/d", "textures": None, "cache": "/c"}
    (out / "sweep.json").write_text(json.dumps({"materials": materials, "tracking_uri": "http://there"}))
    kept = read_saved_settings(out)
    assert (kept.plan, str(kept.data), kept.textures, str(kept.cache)) == (str(out / "plan.yaml"), "/d", None, "/c")
    assert kept.tracking_uri == "http://there"
    (out / "mlflow.db").touch()
    assert read_saved_settings(out).tracking_uri is None
