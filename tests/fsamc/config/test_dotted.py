from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fsamc.config.dotted import flatten, updated, with_value
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig

EPOCHS = {2: 45, 3: 25, 5: 15}
names = st.sampled_from(["a", "b", "2", "03"])
trees = st.recursive(st.integers(), lambda below: st.dictionaries(names, below, min_size=1, max_size=3), max_leaves=8)
mappings = st.dictionaries(names, trees, min_size=1, max_size=3)
keys = st.lists(names, min_size=1, max_size=4).map(".".join)


def test_flatten_by_hand():
    tree = {"a": 1, "b": {"c": 2, "d": {"e": [3, 4]}}, "f": {}, "g": {2: 45}}
    assert flatten(tree) == {"a": 1, "b.c": 2, "b.d.e": [3, 4], "f": {}, "g.2": 45}


@given(mappings, keys, st.integers())
def test_with_value_changes_that_key_and_no_other(tree, key, value):
    before = copy.deepcopy(tree)
    flat, changed = flatten(tree), flatten(with_value(tree, key, value))
    assert tree == before
    assert changed.pop(key) == value
    above = {key[:at] for at, mark in enumerate(key) if mark == "."}
    assert changed == {k: v for k, v in flat.items() if k != key and k not in above and not k.startswith(f"{key}.")}


def test_a_number_as_yaml_reads_it_is_the_same_key():
    assert with_value({"epochs": {2: 45, 3: 25}}, "epochs.2", 7) == {"epochs": {2: 7, 3: 25}}
    assert with_value({"epochs": {"2": 45}}, "epochs.2", 7) == {"epochs": {"2": 7}}


@pytest.mark.parametrize("shots", [2, 5, 7])
def test_one_entry_of_a_nested_table_changes_and_the_others_stay(shots):
    config = updated(FoldConfig(), {"finetune.epochs": EPOCHS})
    changed = updated(config, {f"finetune.epochs.{shots}": 9})
    assert changed.finetune.epochs == {**EPOCHS, shots: 9}
    assert changed.finetune.lr == config.finetune.lr


def test_a_whole_table_can_be_replaced_and_then_changed():
    changed = updated(FoldConfig(), {"finetune.epochs": {4: 3}, "finetune.epochs.2": 9})
    assert changed.finetune.epochs == {2: 9, 4: 3}


def test_a_category_may_be_named_by_digits():
    changed = updated(FoldConfig(), {"pseudo.foreground": {"screw": "flood"}, "pseudo.foreground.01": "whole"})
    assert changed.pseudo.foreground == {"screw": "flood", "01": "whole"}


def test_updated_gives_a_new_model_and_changes_nothing_else():
    config = FoldConfig()
    changed = updated(config, {"representation.weights": "uniform", "shots": 3})
    assert config == FoldConfig()
    before, after = flatten(config.model_dump()), flatten(changed.model_dump())
    assert {key for key in before if before[key] != after[key]} == {"representation.weights", "shots"}


def test_every_key_can_be_given_back():
    config = updated(FoldConfig(), {"shots": 3, "finetune.epochs.3": 1, "features.fit": "crop", "features.resize": 300})
    assert updated(FoldConfig(), flatten(config.model_dump(mode="json"))) == config


def test_a_key_below_a_value_is_refused():
    with pytest.raises(BadInput, match=r"^here: shots: found \{'x': 1\}; input should be a valid integer"):
        updated(FoldConfig(), {"shots.x": 1}, where="here")
