from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fsamc.config.dotted import flatten, updated, validated
from fsamc.config.kinds import kinds_of
from fsamc.config.learning import Finetune
from fsamc.config.settings import Settings
from fsamc.detectors.detector_kinds import PadimSettings
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.heads.head_kinds import ContrastiveSettings, PrototypeSettings, VanillaSettings
from sweeps.plan.settings import Distribution, Plan


def fields(kind: type[Settings], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every field below `kind` that is no stage of its own, by dotted key."""
    for name, field in kind.model_fields.items():
        for settings in kinds_of(field).values():
            yield from ((key, one) for key, one in fields(settings, f"{prefix}{name}.") if not key.endswith(".kind"))
        if kinds_of(field):
            yield f"{prefix}{name}", field
        elif isinstance(field.annotation, type) and issubclass(field.annotation, Settings):
            yield from fields(field.annotation, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


@pytest.mark.parametrize(
    ("key", "value", "told", "expected"),
    [
        ("head.kind", "vanila", "head.kind: unknown kind 'vanila'", "expected one of adapter, cache"),
        ("pretrain.stop_threshold", 1.7, "pretrain.stop_threshold: found 1.7", "less than or equal to 1"),
        ("pretrain.stop_threshold", math.nan, "pretrain.stop_threshold: found nan", "finite number"),
        ("pretrain.lr", 0, "pretrain.lr: found 0", "greater than 0"),
        ("shots", 0, "shots: found 0", "greater than or equal to 1"),
        ("shots", None, "shots: found None", "valid integer"),
        ("good", "maybe", "good: found 'maybe'", "valid boolean"),
        ("representation.parts", ["raw", "raw"], "representation.parts: `parts` names one twice", "raw, raw"),
        ("representation.parts", [], "representation.parts: found []", "at least 1 item"),
        ("representation.patches", 0, "representation.patches: found 0", "greater than"),
        ("representation.patches", 1.5, "representation.patches: found 1.5", "valid integer"),
        ("reference.rows", 500, "reference: found ratio 0.1 and rows 500", "the other to null"),
        ("reference.ratio", None, "reference: found ratio None and rows None", "set one of reference.ratio and"),
        ("features.fit", "stretch", "features.fit: found 'stretch'", "'squash', 'crop' or 'letterbox'"),
        ("finetune.epochs.2", "many", "finetune.epochs.2: found 'many'", "valid integer"),
        ("finetune.epochs.1", 3, "finetune.epochs: epochs for 1 shot", "start at 2"),
        ("finetune.epochs.3", -1, "finetune.epochs: epochs for 3 shots are -1", "expected 0 or more"),
        ("pseudo.beta", [0.5, 0.1], "pseudo.beta: the lower bound 0.5", "above the upper bound 0.1"),
        (
            "pseudo.foreground",
            "flod",
            "pseudo.foreground: found 'flod'",
            "'flood', 'flood_centre', 'grabcut' or 'whole'",
        ),
        ("pseudo.segmentation.flood", [80, 256], "pseudo.segmentation.flood.1: found 256", "equal to 255"),
    ],
)
def test_a_bad_value_is_told_in_one_line(key, value, told, expected):
    with pytest.raises(BadInput) as raised:
        updated(FoldConfig(), {key: value}, where="plan.yaml: base")
    line = str(raised.value)
    assert "\n" not in line
    assert line.startswith(f"plan.yaml: base: {told}")
    assert expected in line


@pytest.mark.parametrize("key", ["head.knd", "hed.kind", "shotss", "pseudo.segmentation.floods", "nothing.at.all"])
def test_an_unknown_key_is_an_error_and_not_a_silence(key):
    with pytest.raises(BadInput, match="unknown key; `fsamc plan show` lists them all") as told:
        updated(FoldConfig(), {key: 1})
    named = str(told.value).partition(":")[0]
    assert key == named or key.startswith(f"{named}.")


def test_the_number_of_further_problems_is_told():
    with pytest.raises(BadInput, match=r"^shots: .* \(and 2 more\)$"):
        updated(FoldConfig(), {"shots": 0, "good": "x", "head.kind": "x"})


def test_what_is_missing_is_named_and_nothing_else_printed():
    with pytest.raises(BadInput, match=r"^p\.yaml: name is missing$"):
        validated(Plan, {"base": {"shots": 3}}, where="p.yaml")


@pytest.mark.parametrize(
    ("tree", "key"),
    [
        ({"resources": {"gpus": "x"}}, "resources.gpus"),
        ({"resources": {"workers": 0}}, "resources.workers"),
        ({"folds": {"categories": 3}}, "folds.categories"),
        ({"space": {"a[b": 3}}, "space.a[b"),
        ({"base": {"pseudo": {"foreground": {"02": "sky"}}}}, "base.pseudo.foreground.02"),
        ({"base": {"finetune": {"epochs": {2: "x"}}}}, "base.finetune.epochs.2"),
    ],
)
def test_the_key_is_the_users_and_holds_no_type_of_ours(tree, key):
    with pytest.raises(BadInput) as told:
        validated(Plan, {"name": "plan", **tree})
    assert str(told.value).startswith(f"{key}: found ")


def test_every_field_says_what_it_is():
    silent = [key for kind in (FoldConfig, Plan, Distribution) for key, field in fields(kind) if not field.description]
    assert silent == []


def test_every_stage_says_what_it_is():
    stages: list[Any] = [FoldConfig]
    for field in FoldConfig.model_fields.values():
        stages += kinds_of(field).values() or [field.annotation]
    assert [stage for stage in stages if issubclass(stage, Settings) and not stage.__doc__] == []


def test_frozen_all_the_way_down():
    stages = [FoldConfig()]
    while stages:
        stage = stages.pop()
        stages += [value for _, value in stage if isinstance(value, Settings)]
        for name, value in stage:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(stage, name, value)


def test_a_change_of_kind_keeps_what_both_have_and_takes_the_defaults_of_the_rest():
    base = updated(FoldConfig(), {"head.kind": "contrastive", "head.embedding": 7, "reference.ratio": 0.5})
    changed = updated(base, {"head.kind": "vanilla", "reference.kind": "padim"})
    assert changed.head == VanillaSettings(embedding=7)
    assert changed.reference == PadimSettings()
    assert updated(changed, {"head.kind": "contrastive"}).head == ContrastiveSettings(embedding=7)


def test_a_key_of_another_kind_is_unknown():
    with pytest.raises(BadInput, match=r"^head\.relation: unknown key"):
        updated(FoldConfig(), {"head.relation": [8, 4]})
    assert FoldConfig.model_validate({"head": {"centre": 0.0}}).head == PrototypeSettings(centre=0.0)


def test_the_papers_values_are_the_defaults_where_nothing_better_was_measured():
    flat = flatten(updated(FoldConfig(), {"head.kind": "contrastive"}).model_dump())
    paper = {
        "features.layers": ("layer2", "layer3"),
        "features.dim": 1024,
        "reference.ratio": 0.1,
        "reference.projection": 128,
        "reference.starts": 10,
        "pseudo.beta": (0.0, 0.5),
        "pretrain.pseudo_classes": 10,
        "pretrain.stop_threshold": 0.4,
        "pretrain.max_rounds": 1000,
        "pretrain.lr": 1e-4,
        "finetune.lr": 1e-4,
        "head.temperature": 0.07,
        "head.hidden": (256, 128),
        "head.embedding": 128,
    }
    assert {key: flat[key] for key in paper} == paper


@pytest.mark.parametrize(
    ("epochs", "passes"),
    [
        ({2: 45, 3: 25, 4: 15, 5: 15}, {1: 0, 2: 45, 3: 25, 4: 15, 5: 15, 6: 15, 50: 15}),
        ({5: 1, 2: 7}, {1: 0, 2: 7, 3: 7, 4: 7, 5: 1, 9: 1}),
        ({3: 5}, {1: 0, 2: 0, 3: 5}),
        ({}, {1: 0, 2: 0}),
    ],
)
def test_epochs_for(epochs, passes):
    settings = Finetune(epochs=epochs)
    assert {shots: settings.epochs_for(shots) for shots in passes} == passes


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"features.resize": 256}, "resize.*before a centre crop; with fit: squash"),
        ({"features.resize": 256, "features.fit": "letterbox"}, "with fit: letterbox"),
        ({"features.resize": 200, "features.fit": "crop"}, r"\(200\) is smaller than the crop `size` \(224\)"),
        ({"support.shots_from": "files"}, "`shots_from: files` and the list `files` go together"),
        ({"support.files": ["tiles/test/crack/000.png"]}, "go together"),
    ],
)
def test_settings_that_do_not_go_together(changes, problem):
    with pytest.raises(BadInput, match=problem):
        updated(FoldConfig(), changes)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "expected one of choice, uniform, loguniform, integers; found none"),
        ({"choice": [1], "uniform": [0, 1]}, r"found \['choice', 'uniform'\]"),
        ({"uniform": [1, 1]}, "lower bound must be below"),
        ({"loguniform": [0, 1]}, "bounds above 0"),
        ({"integers": [1.5, 2]}, "valid integer"),
        ({"choice": []}, "at least 1 item"),
        ({"normal": [0, 1]}, "unknown key"),
    ],
)
def test_a_distribution_is_exactly_one_of_its_forms(given, problem):
    with pytest.raises(BadInput, match=problem):
        validated(Distribution, given)
