"""Heads that are trained side by side are the heads that are trained one by one, up to rounding.

In double precision, where they agree to 1e-6. In single precision most do to 1e-3; but where a gradient has ceased,
Adam makes a step of what rounding has left of it.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from fsamc.config.learning import Finetune, Pretrain
from fsamc.heads.base import Head
from fsamc.representation.represented import MapSet, PartsOf, Represented, Rows
from fsamc.training.loop import finetune, pretrain
from fsamc.training.many_heads import PseudoTask, finetune_many, pretrain_many
from tests.fsamc import kinds

FOLDS, CLASSES, D = 4, 3, 12


class Wide(MapSet):
    """Images in double precision."""

    def take(self, rows: Rows) -> Represented:
        images = super().take(rows)
        return Represented(images.values.double(), images.profiles.double())


CASES = pytest.mark.parametrize(("pool", "values"), [("anomalous", 1), ("anomalous", 4), ("flatten", 4)])


def make_head(seed: int, pool: str, values: int) -> Head:
    """A head without the biases that its norms undo, whose gradients are rounding errors."""
    head = kinds.make_head(
        "contrastive", shape=(values, D, 0), seed=seed, pool=pool, hidden=(16, 8), embedding=8, centre=0.5
    ).double()
    for name, parameter in head.named_parameters():
        parameter.requires_grad_(not (name.startswith("encoder.conv") and name.endswith("bias")))
    return head


def images(seed: int, values: int, per_class: int) -> tuple[MapSet, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    features = generator.normal(0, 1.0, (len(labels), values, D))
    features[np.arange(len(labels)), :, labels] += 0.5
    nowhere = np.zeros((len(labels), values), np.int64)
    return Wide(features.astype(np.float32), np.zeros((1, D)), nowhere, PartsOf(("raw",), None, None, "cpu")), labels


def support(seed: int, values: int, shots: int) -> list[Represented]:
    every, labels = images(seed, values, shots)
    return [every.take(np.flatnonzero(labels == label)) for label in range(CLASSES)]


def assert_same(one: list[Head], other: list[Head]) -> None:
    for a, b in zip(one, other, strict=True):
        for name, value in a.state_dict().items():
            torch.testing.assert_close(
                value, b.state_dict()[name], rtol=1e-6, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
            )


@CASES
@pytest.mark.parametrize("shots", [2, 3])
def test_fine_tuned_side_by_side_is_fine_tuned_one_by_one(pool, values, shots):
    settings = Finetune(epochs={2: 4, 3: 2}, lr=3e-3)
    heads = [make_head(seed, pool, values) for seed in range(FOLDS)]
    supports = [support(seed, values, shots) for seed in range(FOLDS)]
    together, before = copy.deepcopy(heads), copy.deepcopy(heads)
    alone = [finetune(head, of_head, settings) for head, of_head in zip(heads, supports, strict=True)]
    assert np.allclose(finetune_many(together, supports, settings), alone)
    assert_same(together, heads)
    assert any(not torch.allclose(a, b) for a, b in zip(before[0].parameters(), heads[0].parameters(), strict=True))


@CASES
@pytest.mark.parametrize("threshold", [1.0, 0.5])
def test_pretrained_side_by_side_is_pretrained_one_by_one(pool, values, threshold):
    """Also where one comes to its end before the others, which are then what they would be without it."""
    settings = Pretrain(pseudo_classes=3, queries=10, max_rounds=25, stop_threshold=threshold, lr=3e-3)
    heads = [make_head(seed, pool, values) for seed in range(FOLDS)]
    sets = [images(seed, values, 8) for seed in range(FOLDS)]
    together = copy.deepcopy(heads)

    def tasks() -> list[PseudoTask]:
        return [PseudoTask(*one, torch.Generator().manual_seed(seed)) for seed, one in enumerate(sets)]

    alone = [
        pretrain(head, task.pseudo, task.labels, settings, task.generator)
        for head, task in zip(heads, tasks(), strict=True)
    ]
    found = pretrain_many(together, tasks(), settings)
    assert [len(rounds) for rounds in found] == [len(rounds) for rounds in alone]
    assert all(np.allclose(a, b) for a, b in zip(found, alone, strict=True))
    assert_same(together, heads)
    if threshold < 1:
        assert len({len(rounds) for rounds in alone}) > 1


def test_one_shot_trains_nothing():
    heads = [make_head(seed, "anomalous", 2) for seed in range(2)]
    before = copy.deepcopy(heads)
    assert finetune_many(heads, [support(seed, 2, 1) for seed in range(2)], Finetune()) == [[], []]
    assert_same(heads, before)


def test_heads_of_other_kinds_or_settings_are_refused():
    one, other = make_head(0, "anomalous", 2), kinds.make_head("contrastive", shape=(2, D, 0), hidden=(8, 8))
    for heads in ([one, other], [kinds.make_head("protonet", shape=(2, D, 0))]):
        with pytest.raises(ValueError, match="contrastive heads of one configuration"):
            finetune_many(heads, [support(0, 2, 2)] * len(heads), Finetune())
