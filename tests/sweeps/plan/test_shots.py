"""`folds.shots`, also as plans of earlier versions say it, where the number of shots was a knob."""

from __future__ import annotations

import pytest

from fsamc.errors import BadInput
from sweeps.plan.keys import knobs
from sweeps.plan.load import config_hash, load_plan, to_yaml


@pytest.mark.parametrize(
    ("text", "changes", "shots"),
    [
        ("folds: {shots: [5, 1, 2]}", [], (1, 2, 5)),
        ("name: x", [], (2,)),
        ("base: {shots: 3}", [], (3,)),
        ("base: {shots: 1}\nspace: {shots: {choice: [5, 2]}}", [], (1, 2, 5)),
        ("space: {shots: {integers: [2, 4]}}", [], (2, 3, 4)),
        ("extends: table1\nspace: {shots: null}", [], (2,)),
        ("extends: table1\nbase: {shots: 3}", [], (3,)),
        ("extends: table3\nspace: {shots: {choice: [4]}}", [], (4,)),
        ("base: {shots: 3}", ["folds.shots=[5]"], (5,)),
        ("folds: {shots: [2, 5]}", ["base.shots=4"], (4,)),
        ("folds: {shots: [2, 5]}", ["space.shots.choice=[4, 3]"], (3, 4)),
        ("folds: {shots: [2, 5]}", ["base.shots=4", "space.shots=null"], (4,)),
    ],
)
def test_the_numbers_of_shots(write, text, changes, shots):
    plan = load_plan(write(text), changes)
    assert plan.folds.shots == shots
    assert "shots" not in plan.space
    old = any(word in " ".join([text, *changes]) for word in ("base: {shots", "space: {shots", "base.shots", "space.s"))
    assert bool(plan.notes) == old
    assert all("folds.shots now" in note for note in plan.notes)


def test_the_line_names_the_place_and_what_is_read(write):
    (note,) = load_plan(write("name: x\nspace:\n  shots: {choice: [5, 2]}\n", "old.yaml")).notes
    assert note.endswith("old.yaml:3:3: space.shots is folds.shots now: read as [5, 2]")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("space: {shots: {uniform: [1, 2]}}", "space.shots: .*list the numbers in folds.shots"),
        ("space: {shots: {choice: [1], when: {good: [false]}}}", "space.shots: .*list the numbers in folds.shots"),
        ("search: {algorithm: list}\nconfigurations: [{shots: 3}]", "configurations.0.shots: .*folds.shots"),
        ("space: {good: {choice: [true, false], when: {shots: [2]}}}", "good.when.shots: .*folds.shots"),
        ("base: {shots: 3}\nfolds: {shots: [2]}", "base.shots is 3 and folds.shots .2.: leave base.shots out"),
        ("folds: {shots: []}", "folds.shots"),
        ("folds: {shots: [0]}", "folds.shots.0"),
        ("folds: {shots: [2, 2]}", "twice"),
        ("objective: {shots: 5}", "objective.shots is 5"),
    ],
)
def test_what_cannot_be_meant_is_one_line(write, text, words):
    with pytest.raises(BadInput, match=words) as refused:
        load_plan(write(text))
    assert "\n" not in str(refused.value)


def test_shots_are_no_part_of_a_configuration():
    one, other = load_plan("demo", ["folds.shots=[1]"]), load_plan("demo", ["folds.shots=[5]"])
    assert config_hash(one.base) == config_hash(other.base)
    base, _, folds = to_yaml(one).partition("\nfolds:")
    assert "shots:" not in base
    assert "shots: [1]" in folds
    assert "base.shots" not in [key for key, _, _ in knobs()]
