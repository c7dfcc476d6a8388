from __future__ import annotations

import itertools

import pytest

from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.plan.settings import Distribution
from sweeps.plan.space import active, ends, in_order, points, settle

BASE = FoldConfig(shots=2, head={"kind": "prototype"})


def space(**given):
    return {name.replace("__", "."): Distribution.model_validate(parts) for name, parts in given.items()}


HEADS = {"choice": ["prototype", "contrastive", "maml"]}
NESTED = space(
    finetune__lr={"choice": [0.1, 0.2], "when": {"finetune.epochs.2": [3]}},
    finetune__epochs__2={"integers": [2, 4], "when": {"head.kind": ["contrastive", "maml"]}},
    head__kind=HEADS,
)


def test_a_key_comes_after_what_its_condition_names_else_as_written():
    assert in_order(NESTED) == ["head.kind", "finetune.epochs.2", "finetune.lr"]
    plain = space(shots={"choice": [1]}, head__kind=HEADS)
    assert in_order(plain) == ["shots", "head.kind"]


def test_a_circle_is_refused_by_one_of_its_keys():
    circle = space(shots={"choice": [1], "when": {"head.kind": ["maml"]}}, head__kind={**HEADS, "when": {"shots": [1]}})
    with pytest.raises(BadInput, match=r"space\.shots\.when.*circle"):
        in_order(circle)


def test_points_of_a_space_without_conditions_are_the_product():
    plain = space(shots={"choice": [1, 2, 5]}, head__kind=HEADS)
    product = [dict(zip(plain, values, strict=True)) for values in itertools.product([1, 2, 5], HEADS["choice"])]
    assert list(points(plain, BASE)) == product


def test_a_key_whose_condition_is_not_met_does_not_multiply():
    found = list(points(NESTED, BASE))
    per_trained_head = 2 + 1 + 1  # epochs 3 has two rates, 2 and 4 none
    assert len(found) == 1 + 2 * per_trained_head
    assert len({tuple(point.items()) for point in found}) == len(found)
    for point in found:
        assert point == active(NESTED, BASE, {"finetune.lr": 0.1, "finetune.epochs.2": 2, **point})
        assert list(point) == [key for key in NESTED if key in point]


def test_a_condition_on_a_key_that_is_not_swept_is_about_the_base():
    shots = space(representation__patches={"integers": [1, 4], "when": {"shots": [2]}})
    assert [point["representation.patches"] for point in points(shots, BASE)] == [1, 2, 3, 4]
    assert list(points(shots, FoldConfig(shots=3))) == [{}]


def test_values_are_asked_for_in_the_order_of_dependence_and_only_where_they_count():
    asked = []

    def pick(key, given):
        asked.append(key)
        return {"head.kind": "maml", "finetune.epochs.2": 4}[key]

    assert settle(NESTED, BASE, pick) == {"finetune.epochs.2": 4, "head.kind": "maml"}
    assert asked == ["head.kind", "finetune.epochs.2"]


def test_the_ends_of_a_conditional_key_come_with_what_meets_its_condition():
    found = list(ends(NESTED, BASE, ["finetune.lr"]))
    assert {point["finetune.epochs.2"] for point in found} == {3}
    assert {point["head.kind"] for point in found} == {"contrastive", "maml"}
    assert {point["finetune.lr"] for point in found} == {0.1, 0.2}
