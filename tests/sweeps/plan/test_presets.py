from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from fsamc.config.dotted import flatten
from fsamc.counting import counted
from fsamc.fold.inputs import pretrains
from fsamc.store.store import Store
from sweeps.checks.prepare import prepare
from sweeps.plan.configurations import configuration
from sweeps.plan.load import load_plan, plan_hash, to_yaml
from sweeps.plan.presets import preset_names
from sweeps.plan.settings import Plan
from sweeps.search import make_proposer
from tests.sweeps.small import Lab, fsamc

PRESETS = preset_names()
# A preset at the size of the tiny network and its images.
SMALL = [
    "base.features={size: 64, dim: 16}",
    "base.reference={projection: 8, starts: 3}",
    "base.head.hidden=[8, 4]",
    "base.head.embedding=8",
    "base.pseudo.per_class=4",
    "base.pretrain.pseudo_classes=3",
    "base.pretrain.max_rounds=2",
    "base.pretrain.queries=6",
    "base.finetune.epochs={2: 1}",
    "folds.seeds=[1, 2]",
    "folds.shots=[2]",
    "resources.gpus=0",
]


def configurations(plan):
    return [configuration(plan, values) for values in make_proposer(plan).foreseen()]


def test_the_presets_are_there():
    assert {"demo", "paper-small", "smoke"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_checked_and_shown_as_a_plan_that_reads_back_as_the_same(name, capsys):
    plan = load_plan(name)
    assert plan.name == name
    assert all(configurations(plan))
    assert fsamc("plan", "check", name) == 0
    assert f"{name}: {counted(make_proposer(plan).count(), 'trial')}" in capsys.readouterr().out
    assert fsamc("plan", "show", name) == 0
    shown = Plan.model_validate(yaml.safe_load(capsys.readouterr().out))
    assert (plan_hash(shown), to_yaml(shown)) == (plan_hash(plan), to_yaml(plan))


def test_smoke_has_both_heads_at_two_numbers_of_shots_and_2_seeds():
    plan = load_plan("smoke")
    found = configurations(plan)
    assert len(found) * len(plan.folds.shots) >= 4
    assert {config.head.kind for config in found} >= {"prototype", "contrastive"}
    assert len(plan.folds.seeds) >= 2
    assert plan.folds.categories == "all"
    assert any(pretrains(config) for config in found)


# --- the paper's tables

TEXTURES = ["carpet", "grid", "leather", "tile", "wood"]
OBJECTS = ["bottle", "cable", "capsule", "hazelnut", "metal_nut", "pill", "screw", "transistor", "zipper"]
THREE_D = ["bagel", "cable_gland", "carrot", "cookie", "dowel", "foam", "peach", "potato", "rope", "tire"]
FLOOD = dict.fromkeys(["bottle", "capsule", "pill", "screw", "transistor", "zipper"], "flood")
OTHERS = {"metal_nut": "flood_centre", "cable": "grabcut", "hazelnut": "grabcut"}
VANILLA = {
    "kind": "vanilla",
    "pool": "flatten",
    "embedding": 128,
    "relation": [512, 128],
}
# What each differs in from table 1, and what it sweeps; all else must be the same, key by key.
TABLES: dict[str, tuple[dict, dict | list]] = {
    "table1": ({}, {}),
    "table2": ({"base.pseudo.foreground": "auto", "folds.categories": THREE_D}, {}),
    "table3": ({"base.pretrain.enabled": False, "folds.shots": [2, 3, 4, 5]}, {}),
    "table4": (
        {"folds.shots": [2]},
        [
            {"pretrain.enabled": False},
            {"representation.parts": ["raw"]},
            {"head.kind": "vanilla", "pretrain.stop_metric": "pairs"},
            {"head.kind": "direct"},
        ],
    ),
    "table5": ({"folds.shots": [2]}, {"representation.parts": [["residual"], ["raw"]]}),
    "table7": (
        {
            "base.head": VANILLA,
            "base.pretrain.stop_metric": "pairs",
            **{f"base.finetune.epochs.{shots}": 45 for shots in (3, 4, 5)},
        },
        {},
    ),
    "table9": ({"base.pseudo.mask": "polygon", "folds.shots": [2, 3, 4, 5]}, {}),
    "table10": (
        {"base.head": {"kind": "direct", "trainable": "all", "epochs": 100, "lr": 1e-5}},
        {},
    ),
    "table11": ({"base.representation.parts": ["raw"]}, {}),
    "table13": ({"base.head.kind": "maml"}, {}),
    "paper-small": (
        {"base.pseudo.foreground": "auto", "base.pseudo.mask": "poisson", "folds.categories": "all"},
        {},
    ),
    "contrastive-vs-vanilla": ({"folds.shots": [2]}, [{"head.kind": "vanilla", "pretrain.stop_metric": "pairs"}]),
}
TABLES["table8"] = ({**TABLES["table7"][0], "base.pretrain.enabled": False, "folds.shots": [2, 3, 4, 5]}, {})
TABLES["table12"] = ({**TABLES["table2"][0], "base.good": True}, {})


def settings(name: str) -> dict:
    """Every setting of a preset by dotted key, but for what is swept."""
    exclude: Any = {"name": True, "space": True, "configurations": True, "search": True, "base": {"shots"}}
    tree = load_plan(name).model_dump(mode="json", exclude=exclude)
    return flatten(tree)


def test_every_table_has_its_preset_and_there_is_no_table_6():
    assert {name for name in PRESETS if re.match(r"table|contrastive|paper", name)} == set(TABLES)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_table_1_but_for_what_it_is_about(name):
    differences, swept = TABLES[name]
    expected = settings("table1")
    for key, value in differences.items():
        for below in [known for known in expected if known.startswith(f"{key}.")]:
            del expected[below]
        expected |= flatten({key: value})
    assert settings(name) == expected
    plan = load_plan(name)
    if isinstance(swept, list):
        assert (plan.space, plan.search.algorithm, list(plan.configurations)) == ({}, "list", swept)
    else:
        assert {key: list(given.choice) for key, given in plan.space.items()} == swept
        assert (plan.search.algorithm, plan.configurations) == ("grid", ())


def test_table_1_spells_out_the_papers_settings():
    base, folds = load_plan("table1").base, load_plan("table1").folds
    assert base.features.model_dump(include={"layers", "dim", "fit", "resize", "size", "precision"}) == {
        "layers": ("layer2", "layer3"), "dim": 1024, "fit": "crop", "resize": 256, "size": 224, "precision": "fp32",
    }  # fmt: skip
    assert base.reference.model_dump(include={"kind", "ratio", "projection", "starts"}) == {
        "kind": "patchcore", "ratio": 0.1, "projection": 128, "starts": 10,
    }  # fmt: skip
    pseudo = base.pseudo
    assert (pseudo.mask, pseudo.perlin.scales, pseudo.perlin.threshold, pseudo.area) == (
        "perlin",
        (0, 5),
        0.35,
        (0.1, 0.4),
    )
    assert (pseudo.beta, pseudo.textures_per_class, pseudo.residual) == ((0.0, 0.5), 1, "source")
    assert pseudo.foreground == FLOOD | OTHERS | dict.fromkeys(TEXTURES, "whole")
    learning = base.pretrain
    assert (learning.enabled, learning.pseudo_classes, learning.max_rounds, learning.lr) == (True, 10, 1000, 1e-4)
    assert (learning.stop_threshold, learning.stop_metric) == (0.4, "episode")
    assert (base.finetune.epochs, base.finetune.lr) == ({2: 45, 3: 25, 4: 15, 5: 15}, 1e-4)
    head = base.head
    assert (head.kind, head.temperature, head.pool, head.centre) == ("contrastive", 0.07, "flatten", 0.0)
    assert (head.hidden, head.embedding) == ((256, 128), 128)
    assert (base.good, base.support.mean) == (False, "image")
    seen = base.representation
    assert (seen.parts, seen.scale, seen.extent) == (("residual",), "none", 0.0)
    assert (base.views.support, base.views.queries) == ("none", "none")
    assert list(folds.categories) == sorted(TEXTURES + OBJECTS)
    assert (folds.seeds, folds.draws, folds.shots) == ((1, 2, 3, 4, 5), (0,), (1, 2, 3, 4, 5))


def test_the_values_of_appendices_c_and_g_are_spelled_out():
    polygon = load_plan("table9").base.pseudo.polygon
    assert (polygon.sides, polygon.size) == ((3, 4, 5, 6), 0.2)
    maml = load_plan("table13").base.pretrain.maml
    assert (maml.inner_lr, maml.inner_steps, maml.tasks) == (0.001, 1, 10)


def test_a_category_that_is_not_published_finds_its_foreground_itself(lab: Lab):
    plan = load_plan("table1", [*SMALL, "folds.categories=[cap]"], backbone=str(lab.backbone))
    store = Store(lab.root / "cache")
    found = prepare(plan, data=lab.data, textures=lab.textures, store=store, device="cpu")
    chosen = found.plan.base.pseudo.foreground
    assert isinstance(chosen, dict)
    assert set(chosen) == {"cap"}
    assert chosen["cap"] in {"flood", "grabcut", "whole"}


def test_a_preset_without_its_categories_says_how_to_restrict_it(lab: Lab, capsys):
    assert fsamc(*lab.words("table2")) == 2
    told = capsys.readouterr().err
    assert "bagel: no such category" in told
    assert "folds.categories=[cap,tile]" in told
    assert not (lab.root / "out" / "folds.csv").exists()
