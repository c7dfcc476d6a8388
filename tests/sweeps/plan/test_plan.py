from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.plan.configurations import base_values, configuration, swept, variants, with_absolute_files
from sweeps.plan.load import config_hash, load_plan, plan_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.search import make_proposer

TEXT = """
name: example
base: {head: {kind: prototype}, finetune: {epochs: {2: 12, 5: 2}}}
space:
  head.kind: {choice: [prototype, contrastive]}
  pretrain.stop_threshold: {uniform: [0.2, 0.8]}
folds: {seeds: [1, 2]}
search: {algorithm: random, trials: 5}
"""


@pytest.fixture
def file(write) -> str:
    return write(TEXT)


def refused(source: str, *changes: str) -> str:
    with pytest.raises(BadInput) as error:
        load_plan(source, changes)
    assert "\n" not in str(error.value)
    return str(error.value)


# --- reading


def test_what_is_left_out_takes_the_default(file):
    plan = load_plan(file)
    assert plan.base == FoldConfig(head={"kind": "prototype"}, finetune={"epochs": {2: 12, 5: 2}})
    assert plan.folds.draws == (0,)
    assert plan.resources.workers == "auto"


def test_a_plan_without_a_name_is_called_after_its_file(write):
    assert load_plan(write("base: {good: true}", "tiles.yaml")).name == "tiles"
    assert load_plan(write("{}", "empty.yaml")) == Plan(name="empty")


def test_the_command_line_wins_over_the_plan_and_later_changes_over_earlier(file):
    plan = load_plan(
        file, ["base.pretrain.queries=3", "base.pretrain.queries=4"], backbone="resnet18", weights="random"
    )
    assert plan.base.pretrain.queries == 4
    assert plan.base.features.backbone == "resnet18"
    assert plan.base.features.weights == "random"


@pytest.mark.parametrize(
    ("change", "key", "value"),
    [
        ("folds.seeds=[3,4,5]", "folds.seeds", (3, 4, 5)),
        ("folds.categories=[cap]", "folds.categories", ("cap",)),
        ("base.pretrain.queries=5", "base.pretrain.queries", 5),
        ("base.good=true", "base.good", True),
        ("base.representation.parts=[raw]", "base.representation.parts", ("raw",)),
        ("base.pseudo.beta=[0.1, 0.2]", "base.pseudo.beta", (0.1, 0.2)),
        ("base.head={kind: contrastive, temperature: 0.1}", "base.head.temperature", 0.1),
        ("base.pretrain.lr=1.0e-3", "base.pretrain.lr", 1e-3),
        ("base.features.resize=null", "base.features.resize", None),
        ("search.algorithm=optuna", "search.algorithm", "optuna"),
        ("resources.folds_at_once=3", "resources.folds_at_once", 3),
        ("name=other", "name", "other"),
    ],
)
def test_a_change_sets_a_dotted_key_to_a_yaml_value(file, change, key, value):
    found = load_plan(file, [change])
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


def test_epochs_are_changed_one_shot_count_at_a_time(file):
    assert load_plan(file, ["base.finetune.epochs.2=7"]).base.finetune.epochs == {2: 7, 5: 2}
    assert load_plan(file, ["base.finetune.epochs.3=7"]).base.finetune.epochs == {2: 12, 3: 7, 5: 2}


def test_the_space_takes_a_knob_with_its_form_in_the_key_or_in_the_value(file):
    for change in ("space.pretrain.queries.choice=[1,2]", "space.pretrain.queries={choice: [1, 2]}"):
        assert load_plan(file, [change]).space["pretrain.queries"].choice == (1, 2)
    plan = load_plan(file, ["space.pretrain.stop_threshold.choice=[0.3]"])
    assert plan.space["pretrain.stop_threshold"].choice == (0.3,)
    assert plan.space["pretrain.stop_threshold"].uniform is None


def test_null_takes_a_knob_out_of_the_space(file):
    assert list(load_plan(file, ["space.head.kind=null"]).space) == ["pretrain.stop_threshold"]
    assert load_plan(file, ["space.head.kind=null", "space.pretrain.stop_threshold=null"]).space == {}


def test_a_choice_is_what_the_configuration_makes_of_it(file):
    # PyYAML takes 1e-4 for text
    changes = ["space.pretrain.lr.choice=[1e-4, 0.01]", "space.pseudo.beta.choice=[[0, 0.5], [0.5, 1]]"]
    plan = load_plan(file, [*changes, "space.pretrain.stop_threshold=null", "search.algorithm=grid"])
    assert plan.space["pretrain.lr"].choice == (0.0001, 0.01)
    assert base_values(plan) == {"head.kind": "prototype", "pretrain.lr": 0.0001, "pseudo.beta": [0.0, 0.5]}
    assert make_proposer(plan).count() == 8  # the base is one of them


def test_epochs_of_one_shot_count_may_be_swept(file):
    plan = load_plan(file, ["space.finetune.epochs.2.choice=[3, 6]", "space.finetune.epochs.3.integers=[1, 9]"])
    assert base_values(plan)["finetune.epochs.2"] == 12
    assert base_values(plan)["finetune.epochs.3"] == 12  # what goes for 2 goes for 3
    config = configuration(plan, {"finetune.epochs.2": 3, "finetune.epochs.3": 4})
    assert config.finetune.epochs == {2: 3, 3: 4, 5: 2}


# --- extending


def test_a_plan_takes_from_another_what_it_leaves_out(file, write):
    plan = load_plan(
        write("extends: plan.yaml\nbase: {representation: {parts: [raw]}, finetune: {epochs: {5: 3}}}\n", "more.yaml")
    )
    assert plan.name == "more"
    assert plan.base == FoldConfig(
        representation={"parts": ["raw"]}, head={"kind": "prototype"}, finetune={"epochs": {2: 12, 5: 3}}
    )
    assert plan.space == load_plan(file).space
    assert (plan.folds.seeds, plan.search.trials) == ((1, 2), 5)


def test_the_space_of_another_plan_is_added_to_replaced_and_taken_from(file, write):
    above = """
extends: plan.yaml
space: {head.kind: null, pretrain.stop_threshold: {choice: [0.1]}, pretrain.queries: {choice: [1, 2]}}
"""
    space = load_plan(write(above, "above.yaml")).space
    assert {key: given.choice for key, given in space.items()} == {
        "pretrain.stop_threshold": (0.1,),
        "pretrain.queries": (1, 2),
    }


def test_plans_may_extend_a_preset_and_each_other_and_the_nearest_wins(write):
    write("extends: smoke\nbase: {good: true, representation: {parts: [raw]}}\n", "middle.yaml")
    plan = load_plan(write("extends: middle.yaml\nbase: {good: false}\n", "top.yaml"))
    assert (plan.base.good, plan.base.representation.parts) == (False, ("raw",))
    assert plan.base.pretrain == load_plan("smoke").base.pretrain


def test_what_replaces_a_mapping_replaces_all_of_it(write):
    write("base: {pseudo: {foreground: {cap: flood}}}", "below.yaml")
    plan = load_plan(write("extends: below.yaml\nbase: {pseudo: {foreground: whole}}", "above.yaml"))
    assert plan.base.pseudo.foreground == "whole"


def test_a_plan_is_written_out_whole(file, write):
    plan = load_plan(write("extends: plan.yaml\nbase: {good: true}\n", "above.yaml"))
    assert "extends" not in to_yaml(plan)
    assert load_plan(write(to_yaml(plan), "whole.yaml")) == plan


def test_plans_that_extend_each_other_and_missing_ones_are_refused(write):
    assert "extends itself" in refused(write("extends: a.yaml", "a.yaml"))
    write("extends: c.yaml", "b.yaml")
    told = refused(write("extends: b.yaml", "c.yaml"))
    assert "extends itself" in told
    assert told.count("c.yaml") == 3
    assert "gone.yaml: no such plan" in refused(write("extends: gone.yaml", "d.yaml"))


# --- listed configurations

LISTED = """
base: {pretrain: {queries: 2}}
search: {algorithm: list}
configurations:
  - {representation.parts: [raw]}
  - {pretrain.lr: 1e-3, pretrain.queries: 3}
  - {finetune.epochs.2: 7}
"""


def test_listed_configurations_are_what_the_configuration_makes_of_them(write):
    plan = load_plan(write(LISTED))
    assert plan.configurations == (
        {"representation.parts": ["raw"]},
        {"pretrain.lr": 0.001, "pretrain.queries": 3},
        {"finetune.epochs.2": 7},
    )
    keys = ["representation.parts", "pretrain.lr", "pretrain.queries", "finetune.epochs.2"]
    assert list(base_values(plan)) == list(swept(plan)) == keys
    assert swept(plan)["pretrain.queries"].choice == (2, 3)
    assert swept(plan)["representation.parts"].choice == (list(plan.base.representation.parts), ["raw"])


def test_variants_of_a_list_are_the_base_and_the_entries_as_they_are(write):
    plan = load_plan(write(LISTED))
    entries = [plan.base, *(configuration(plan, entry) for entry in plan.configurations)]
    for changed in (1, 2):
        assert list(variants(plan, changed=changed)) == entries


def test_a_list_is_read_back_and_hashed(write):
    plan = load_plan(write(LISTED))
    assert load_plan(write(to_yaml(plan), "again.yaml")) == plan
    assert plan_hash(load_plan(write(LISTED.replace("7", "8"), "other.yaml"))) != plan_hash(plan)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("{head.knid: direct}", ["configurations.3.head.knid", "unknown key"]),
        ("{compute.threads: 2}", ["configurations.3.compute.threads", "resources.cpus"]),
        ("{pretrain.queries: 0}", ["configurations.3: pretrain.queries", "0"]),
        ("{features.resize: 300}", ["configurations.3: features", "crop"]),
        ("{pretrain.queries: 3, pretrain.lr: 0.001}", ["configurations.3", "the same", "leave one out"]),
        ("[residual]", ["configurations.3", "dictionary"]),
        ("{pretrain: {enabled: false}}", ["pretrain holds pretrain.lr", "vary one of them"]),
    ],
)
def test_a_wrong_entry_is_refused_by_its_place(write, entry, words):
    told = refused(write(LISTED + f"  - {entry}"))
    assert all(word in told for word in words), told


def test_a_list_and_a_space_exclude_each_other(write):
    assert "search.algorithm" in refused(write(LISTED), "space.pretrain.queries.choice=[1,2]")
    assert "search.algorithm: list, found grid" in refused(write(LISTED), "search.algorithm=grid")


# --- refusing


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("base.head.kind=resnet", ["base.head.kind", "'resnet'", "prototype"]),
        ("base.pretrain.stop_threshold=1.7", ["base.pretrain.stop_threshold", "1.7", "1"]),
        ("base.hed.kind=prototype", ["base.hed", "unknown key"]),
        ("fold.seeds=[1]", ["fold", "unknown key"]),
        ("space.head.knid={choice: [a]}", ["space.head.knid", "unknown key"]),
        ("space.head.kind={choice: [prototype, forest]}", ["space.head.kind.choice.1: ", "unknown kind 'forest'"]),
        ("space.pretrain.queries={integers: [0, 3]}", ["space.pretrain.queries.integers.0: found 0"]),
        ("space.pretrain.queries={choice: []}", ["space.pretrain.queries", "choice"]),
        ("space.pretrain.queries={choice: [1], integers: [1, 2]}", ["space.pretrain.queries", "one of"]),
        ("space.pretrain.lr={loguniform: [0, 1]}", ["space.pretrain.lr", "above 0"]),
        ("space.pretrain.lr={uniform: [0.5, 0.1]}", ["space.pretrain.lr", "below"]),
        ("space.representation.patches={uniform: [1, 9]}", ["space.representation.patches=", ": found 3.5", "integer"]),
        ("space.pretrain.lr={choice: [1e-4, 0.0001]}", ["space.pretrain.lr", "twice"]),
        ("space.finetune.epochs.1={choice: [3]}", ["finetune.epochs", "start at 2"]),
        ("space.finetune.epochs.x={choice: [3]}", ["finetune.epochs", "x"]),
        ("space.head={choice: [3]}", ["space.head.choice.0: found 3"]),
        ("space.compute.threads={choice: [1]}", ["space.compute.threads", "resources.cpus"]),
        ("search.algorithm=grid", ["space.pretrain.stop_threshold", "choice"]),
        ("space.pretrain={choice: [{lr: 0.1}]}", ["pretrain holds pretrain.stop_threshold", "vary one of them"]),
        ("search.trials=0", ["search.trials", "0"]),
        ("search.sampler=cmaes", ["search.sampler", "optuna", "random"]),
        ("search.storage=sqlite:///s.db", ["search.storage", "optuna", "random"]),
        ("search.study=s", ["search.study", "optuna", "random"]),
        ("search.goals=[seconds]", ["search.goals"]),
        ("search.goals=[accuracy, accuracy]", ["search.goals"]),
        ("folds.seeds=[]", ["folds.seeds"]),
        ("folds.seeds=[1,1]", ["folds.seeds", "twice"]),
        ("folds.draws=[-1]", ["folds.draws", "-1"]),
        ("resources.workers=0", ["resources.workers", "0"]),
        ("resources.tracking_patience=-1", ["resources.tracking_patience", "-1"]),
        ("resources.deadline=0", ["resources.deadline", "greater than 0"]),
        ("base.compute.threads=4", ["base.compute.threads", "resources.cpus"]),
        ("base.features.resize=300", ["base.features", "resize", "crop"]),
        ("base.finetune.epochs={1: 4}", ["base.finetune.epochs", "start at 2"]),
        ("base.pretrain.lr=.nan", ["base.pretrain.lr"]),
        ("name=", ["name"]),
        ("good", ["'good'", "key=value"]),
        ("=3", ["'=3'", "key=value"]),
        ("folds.shots=[1", ["folds.shots=[1", "YAML"]),
    ],
)
def test_a_wrong_change_is_refused_in_one_line_that_names_key_and_value(file, change, words):
    text = refused(file, change)
    assert all(word in text for word in words), text


def test_two_values_that_are_right_alone_may_be_wrong_together(file):
    crop = ["base.features.fit=crop", "space.features.fit.choice=[crop, squash]"]
    assert load_plan(file, crop)
    text = refused(file, *crop, "space.features.resize.choice=[null, 256]")
    assert "combination" in text
    assert "squash" in text


CONDITIONAL = (
    "space.finetune.epochs.5={integers: [2, 20], when: {head.kind: [contrastive, maml], pretrain.queries: [5]}}"
)


@pytest.mark.parametrize(
    ("when", "words"),
    [
        ("{head.knid: [maml]}", ["space.finetune.epochs.5.when.head.knid", "unknown key"]),
        ("{head.kind: [forest]}", ["space.finetune.epochs.5.when", "head.kind", "forest"]),
        ("{head.kind: [siamese]}", ["space.finetune.epochs.5.when.head.kind", "siamese", "no trial"]),
        ("{pretrain.queries: [5]}", ["space.finetune.epochs.5.when.pretrain.queries", "no trial"]),
        ("{finetune.epochs.5: [3]}", ["space.finetune.epochs.5.when", "itself"]),
        ("{head.kind: []}", ["space.finetune.epochs.5.when.head.kind"]),
        ("{head.kind: contrastive}", ["space.finetune.epochs.5.when.head.kind", "contrastive"]),
        ("{pretrain.stop_threshold: [0.3]}", ["space.finetune.epochs.5.when", "circle"]),
    ],
)
def test_a_condition_that_cannot_be_is_refused_by_its_key(file, when, words):
    circle = "space.pretrain.stop_threshold={uniform: [0.2, 0.8], when: {finetune.epochs.5: [3]}}"
    text = refused(file, f"space.finetune.epochs.5={{integers: [2, 20], when: {when}}}", circle)
    assert all(word in text for word in words), text


def test_conditions_are_read_as_the_configuration_holds_them_and_written_back(file):
    plan = load_plan(file, ["space.pretrain.queries={choice: [2, 5]}", CONDITIONAL.replace("[5]", "['5']")])
    assert plan.space["finetune.epochs.5"].when == {
        "head.kind": ("contrastive", "maml"),
        "pretrain.queries": (5,),
    }
    again = Plan.model_validate(yaml.safe_load(to_yaml(plan)))
    assert again == plan
    assert plan_hash(again) == plan_hash(plan)


def test_variants_hold_the_ends_of_a_conditional_range_where_its_condition_is_met(file):
    plan = load_plan(file, ["space.pretrain.queries={choice: [2, 5]}", CONDITIONAL])
    epochs = {(c.head.kind, c.pretrain.queries, c.finetune.epochs_for(5)) for c in variants(plan)}
    assert {("contrastive", 5, 2), ("contrastive", 5, 20)} <= epochs
    assert {n for kind, queries, n in epochs if (kind, queries) != ("contrastive", 5)} == {2}, "the base's own"


def test_a_condition_makes_right_what_is_wrong_without_it(file):
    crop = ["space.features.fit.choice=[crop, squash]"]
    resize = "space.features.resize={choice: [230, 256], when: {features.fit: [crop]}}"
    plan = load_plan(file, [*crop, resize])
    assert {c.features.fit for c in variants(plan, changed=2) if c.features.resize is not None} == {"crop"}


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://me:secret@host/db",
        "postgresql+psycopg://me:se/cret@host:5432/db",
        "postgresql://me@host/db?password=secret",
        "mysql://me:se${X}cret@host/db",
    ],
)
def test_a_password_in_the_storage_is_refused_and_not_repeated(file, address):
    text = refused(file, "search.algorithm=optuna", f"search.storage={address}")
    assert "search.storage" in text
    assert "${NAME}" in text
    assert "cret" not in text


@pytest.mark.parametrize(
    "address", ["postgresql://me:${X}@host:5432/db", "postgresql://me@host/db", "sqlite:///a:b@c.db", "${URL}", "a.log"]
)
def test_an_address_without_a_password_is_taken(file, address):
    assert load_plan(file, ["search.algorithm=optuna", f"search.storage={address}"]).search.storage == address


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- a\n- b\n", ["expected a plan", "list"]),
        ("just words", ["expected a plan", "str"]),
        ("", ["expected a plan", "NoneType"]),
        ("base: {good: [", ["not YAML"]),
        ("base: 3", ["base", "3"]),
        ("space: [good]", ["space"]),
        ("search:\n", ["search"]),
        ("name: x\n1: y", ["1", "keys should be strings"]),
    ],
)
def test_a_file_that_is_no_plan_is_refused(write, text, words):
    said = refused(write(text))
    assert all(word in said for word in words), said


# --- what a plan means


def test_the_base_of_the_swept_keys_is_trial_0(file):
    plan = load_plan(file)
    assert base_values(plan) == {"head.kind": "prototype", "pretrain.stop_threshold": 0.4}
    assert configuration(plan, base_values(plan)) == plan.base


def test_variants_hold_every_end_alone_and_every_pair_of_ends(file):
    plan = load_plan(file)
    alone = [(config.head.kind, config.pretrain.stop_threshold) for config in variants(plan)]
    ends = {("prototype", 0.4), ("contrastive", 0.4), ("prototype", 0.2), ("prototype", 0.8)}
    assert set(alone) == ends
    pairs = {(config.head.kind, config.pretrain.stop_threshold) for config in variants(plan, changed=2)}
    assert pairs == ends | {("contrastive", 0.2), ("contrastive", 0.8)}


def test_the_hash_depends_on_all_that_the_table_does_and_not_on_the_pace(file):
    plan = load_plan(file)
    pace = [
        "workers=7",
        "nice=3",
        "folds_at_once=2",
        "retries=3",
        "system_metrics=true",
        "tracking_patience=1",
        "deadline=9",
    ]
    for change in (f"resources.{one}" for one in pace):
        assert plan_hash(load_plan(file, [change])) == plan_hash(plan)
    changes = ["name=b", "base.good=true", "folds.seeds=[1]", "search.trials=6", "space.pretrain.queries.choice=[1]"]
    changes += ["resources.cpus=2", "search.seed=1", "search.goals=[accuracy, seconds]", "search.asks=3"]
    changes += ["space.pretrain.stop_threshold={uniform: [0.2, 0.8], when: {head.kind: [contrastive]}}"]
    assert len({plan_hash(load_plan(file, [change])) for change in changes} | {plan_hash(plan)}) == len(changes) + 1


def test_a_backbone_is_hashed_by_content_wherever_it_lies(file, tmp_path):
    (tmp_path / "a.pt2").write_bytes(b"network")
    shutil.copy(tmp_path / "a.pt2", tmp_path / "b.pt2")
    (tmp_path / "c.pt2").write_bytes(b"another")
    a, b, c = (load_plan(file, backbone=str(tmp_path / f"{name}.pt2")) for name in "abc")
    assert plan_hash(a) == plan_hash(b) != plan_hash(c)
    assert config_hash(a.base) == config_hash(b.base) != config_hash(c.base)


def test_files_are_named_from_the_root_before_they_are_written_down(file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plan = with_absolute_files(load_plan(file, backbone="nets/a.pt2"))
    assert plan.base.features.backbone == str(tmp_path / "nets" / "a.pt2")
    named = load_plan(file, backbone="resnet18", weights="w.pth")
    assert with_absolute_files(named).base.features.weights == str(Path.cwd() / "w.pth")
    assert with_absolute_files(named).base.features.backbone == "resnet18"
    unchanged = load_plan(file, backbone="resnet18", weights="random")
    assert with_absolute_files(unchanged) == unchanged
    several = load_plan(file, ["base.features.backbone=[resnet18,nets/a.pt2]", "base.features.weights=[w.pth,null]"])
    assert with_absolute_files(several).base.features.backbone == ("resnet18", str(tmp_path / "nets" / "a.pt2"))
    assert with_absolute_files(several).base.features.weights == (str(tmp_path / "w.pth"), None)
    assert Plan.model_validate(yaml.safe_load(to_yaml(several))).base == several.base
