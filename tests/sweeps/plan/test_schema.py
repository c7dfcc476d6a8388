"""The schema for editors takes every plan that is right, and refuses what it can know to be wrong."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from fsamc.config.dotted import flatten
from sweeps.plan.keys import knobs
from sweeps.plan.load import load_plan, to_yaml
from sweeps.plan.presets import preset_names
from sweeps.plan.schema import plan_schema
from tests.sweeps.small import PLAN, fsamc

SCHEMA = plan_schema()
EDITOR = Draft202012Validator(SCHEMA)


def complaints(plan: Any) -> list[str]:
    """Where and what an editor would underline; keys are text, as in JSON."""
    errors = EDITOR.iter_errors(json.loads(json.dumps(plan)))
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in errors]


def test_the_command_prints_a_valid_schema_and_nothing_else(capsys):
    assert fsamc("plan", "schema") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == SCHEMA
    Draft202012Validator.check_schema(printed)


@pytest.mark.parametrize("preset", preset_names())
def test_every_preset_passes_as_written_and_as_resolved(preset):
    assert complaints(yaml.safe_load((resources.files("sweeps") / "presets" / f"{preset}.yaml").read_text())) == []
    assert complaints(yaml.safe_load(to_yaml(load_plan(preset)))) == []


@pytest.mark.parametrize(
    "parts",
    [
        {"space": {"finetune.epochs.2": {"integers": [3, 9]}, "head": {"choice": [{"kind": "maml"}]}}},
        {"space": {"head.kind": None, "pretrain.lr": {"loguniform": [1e-4, 1e-2]}}, "extends": "smoke"},
        {"space": {"features.resize": {"choice": [None, 256]}, "pseudo.area": {"choice": [[0.1, 0.4], [0.1, 0.9]]}}},
        {"space": {"representation.parts": {"choice": [["residual", "centred"], ["raw"]]}}},
        {
            "configurations": [{"pretrain.queries": 3, "finetune.epochs.3": 4}, {"representation.parts": ["raw"]}],
            "search": {"algorithm": "list"},
        },
        {"base": {"pseudo": {"foreground": {"bottle": "flood"}}}, "folds": {"categories": ["bottle"]}},
        {"resources": {"workers": "auto", "gpus": 0.5}, "name": "n"},
    ],
)
def test_what_a_plan_may_hold_passes(parts):
    assert complaints(PLAN | parts) == []


@pytest.mark.parametrize(
    ("parts", "where"),
    [
        ({"fold": {"seeds": [1]}}, ": Additional"),
        ({"base": {"shot": 2}}, "base: Additional"),
        ({"folds": {"shots": [0]}}, "folds.shots.0: 0"),
        ({"base": {"shots": 2}}, "base: Additional"),
        ({"base": {"head": {"kind": "forest"}}}, "base.head.kind: 'forest'"),
        ({"base": {"pretrain": {"stop_threshold": 1.7}}}, "base.pretrain.stop_threshold: 1.7"),
        ({"base": {"finetune": {"epochs": {"2": "many"}}}}, "base.finetune.epochs.2: 'many'"),
        ({"base": {"compute": {"threads": 2}}}, "base: Additional"),
        ({"space": {"head.knid": {"choice": ["maml"]}}}, "space: 'head.knid'"),
        (
            {"space": {"representation.parts": {"choice": [["residue"]]}}},
            "space.representation.parts.choice.0.0: 'residue'",
        ),
        ({"space": {"head.kind": {"choice": ["forest"]}}}, "space.head.kind.choice.0: 'forest'"),
        ({"space": {"representation.patches": {"choice": [1], "integers": [1, 2]}}}, "space.representation.patches: "),
        ({"space": {"representation.patches": {}}}, "space.representation.patches: "),
        ({"configurations": [{"good": "x"}]}, "configurations.0.good: 'x'"),
        ({"folds": {"seeds": []}}, "folds.seeds: []"),
        ({"search": {"algorithm": "guess"}}, "search.algorithm: 'guess'"),
        ({"extends": 3}, "extends: 3"),
    ],
)
def test_what_is_wrong_is_underlined_where_it_is(parts, where):
    assert any(line.startswith(where) for line in complaints(PLAN | parts)), complaints(PLAN | parts)


def test_every_knob_can_be_swept_and_is_described_where_it_is_written():
    swept = {f"base.{key}" for key in SCHEMA["properties"]["space"]["properties"]}
    assert {key for key, _, _ in knobs() if key.startswith("base.")} <= swept
    plain = flatten(yaml.safe_load(to_yaml(load_plan("smoke"))))
    for key, _, meaning in knobs():
        if key.startswith("base.") and key in plain:
            assert SCHEMA["properties"]["space"]["properties"][key.removeprefix("base.")]["description"] == meaning
