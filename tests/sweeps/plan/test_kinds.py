"""Sweeps over kinds of heads and detectors."""

from __future__ import annotations

import pytest
import yaml

from fsamc.errors import BadInput
from fsamc.heads.head_kinds import ContrastiveSettings, DirectSettings, PrototypeSettings
from sweeps.plan.configurations import base_values, configuration, listed_values, swept
from sweeps.plan.kinds import trial_kind
from sweeps.plan.load import config_hash, load_plan, plan_hash, to_yaml
from sweeps.plan.settings import Plan
from sweeps.search import make_proposer

TEXT = """
base:
  head: {kind: prototype, centre: 0, temperature: 0.2}
space:
  head.kind: {choice: [prototype, contrastive]}
  representation.parts: {choice: [[residual], [raw]]}
search: {algorithm: grid}
"""
LIST = """
base: {head: {kind: prototype, epochs: 3}}
search: {algorithm: list}
configurations:
  - {head.kind: direct}
  - {head.kind: direct, head.epochs: 5}
  - {head.kind: contrastive, head.temperature: 0.5}
"""


def test_a_key_of_one_kind_is_kept_for_it_and_is_no_part_of_another(write):
    plan, without = load_plan(write(TEXT)), load_plan(write(TEXT.replace(", temperature: 0.2", ""), "plain.yaml"))
    assert configuration(plan, {}).head == PrototypeSettings(centre=0.0)
    assert configuration(plan, {"head.kind": "contrastive"}).head == ContrastiveSettings(centre=0.0, temperature=0.2)
    assert config_hash(plan.base) == config_hash(without.base)
    assert plan_hash(plan) != plan_hash(without)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"head.kind": "contrastive"},
        {"head": {"kind": "contrastive"}},
        {"head": {"centre": 0.0}},
        {"head": {"kind": "direct"}, "head.kind": "contrastive"},
    ],
)
def test_the_kind_of_a_trial_is_that_of_its_configuration(write, values):
    plan = load_plan(write(TEXT.replace("kind: prototype,", "kind: direct,").replace("centre: 0, ", "")))
    assert trial_kind("head", plan.base.head.kind, values) == configuration(plan, values).head.kind


def test_a_plan_with_keys_of_several_kinds_is_written_whole_and_read_back(write):
    plan = load_plan(write(TEXT))
    assert yaml.safe_load(to_yaml(plan))["base"]["head"]["temperature"] == 0.2
    again = Plan.model_validate(yaml.safe_load(to_yaml(plan)))
    assert again == plan
    assert plan_hash(again) == plan_hash(plan)
    best = plan.model_copy(update={"base": configuration(plan, {"head.kind": "contrastive"}), "space": {}})
    assert load_plan(write(to_yaml(best), "best.yaml")).base == best.base


def test_a_swept_key_is_tried_with_the_kinds_that_have_it(write):
    plan = load_plan(write(TEXT), ["space.head.temperature={choice: [0.1, 0.3]}", "space.representation.parts=null"])
    assert plan.space["head.temperature"].when == {"head.kind": ("contrastive",)}
    assert base_values(plan) == {"head.kind": "prototype"}
    contrastive = [{"head.kind": "contrastive", "head.temperature": value} for value in (0.1, 0.3)]
    assert list(make_proposer(plan).foreseen()) == [{"head.kind": "prototype"}, *contrastive]


def test_what_depends_on_a_key_depends_on_the_kinds_that_have_it(write):
    lr = "space.finetune.lr={choice: [0.1, 0.2], when: {head.temperature: [0.1]}}"
    plan = load_plan(write(TEXT), ["space.head.temperature={choice: [0.1, 0.3]}", lr])
    assert plan.space["finetune.lr"].when == {"head.temperature": (0.1,), "head.kind": ("contrastive",)}


def test_detectors_have_kinds_too(write):
    text = "base: {reference: {ridge: 0.5}}\nspace: {reference.kind: {choice: [patchcore, padim]}}\n"
    plan = load_plan(write(text), ["space.reference.ratio={choice: [0.1, 0.2]}"])
    assert plan.space["reference.ratio"].when == {"reference.kind": ("patchcore",)}
    assert configuration(plan, {"reference.kind": "padim"}).reference.model_dump()["ridge"] == 0.5


def test_listed_configurations_have_the_values_of_their_kinds(write):
    plan = load_plan(write(LIST))
    assert [*swept(plan)] == ["head.kind", "head.epochs", "head.temperature"]
    assert swept(plan)["head.epochs"].choice == (3, 5)
    assert base_values(plan) == {"head.kind": "prototype"}
    assert listed_values(plan) == [
        {"head.kind": "direct", "head.epochs": 3},
        {"head.kind": "direct", "head.epochs": 5},
        {"head.kind": "contrastive", "head.temperature": 0.5},
    ]


@pytest.mark.parametrize("change", ["base.head.kind=contrastive", "space.head.kind={choice: [prototype, siamese]}"])
def test_a_change_takes_with_it_what_only_the_kinds_had_that_it_takes_away(write, change):
    lost = "space.head.kind=null" if change.startswith("base") else change
    assert load_plan(write(TEXT), [change, lost])
    write(TEXT, "below.yaml")
    above = "extends: below.yaml\nspace: {head.kind: null}\nbase: {head: {kind: direct, lr: 1.0e-3}}\n"
    assert load_plan(write(above, "above.yaml")).base.head == DirectSettings(lr=1e-3)


HAS = "has it, which no trial here is: set or vary head.kind, or leave it out"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("base: {head: {relation: [8, 4]}}", f"plan.yaml:1:15: base.head.relation: only head.kind vanilla {HAS}"),
        (
            "base: {head: {temprature: 1}}",
            "plan.yaml:1:15: base.head.temprature: unknown key; did you mean base.head",
        ),
        (
            "space: {head.lr: {choice: [1]}}",
            f"plan.yaml:1:9: space.head.lr: only head.kind adapter, cache, direct {HAS}",
        ),
        (
            "base: {head: {relation: [0.5, 4]}}\nspace: {head.kind: {choice: [vanilla]}}",
            "plan.yaml:1:15: base.head.relation: head.relation.0: found 0.5",
        ),
        (
            "space:\n  head.kind: {choice: [contrastive, siamese]}\n"
            "  head.temperature: {choice: [1], when: {head.kind: [siamese]}}",
            "plan.yaml:3:3: space.head.temperature: only adapter, contrastive, cross_attention, dpgn, maml, "
            "matchingnet has it, and `when` names",
        ),
    ],
)
def test_a_key_that_no_kind_of_the_sweep_has_is_refused_where_it_is(write, text, told):
    file = write(text)
    with pytest.raises(BadInput) as refused:
        load_plan(file)
    assert str(refused.value).startswith(file.removesuffix("plan.yaml") + told)
