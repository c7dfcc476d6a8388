from __future__ import annotations

import pytest
import torch

from fsamc.config.dotted import updated
from fsamc.detectors.residual import Maps
from fsamc.fold.costs import (
    DetectorCost,
    detector_cost,
    direct_cost,
    finetuning_steps,
    head_cost,
    image_cost,
    pseudo_cost,
)
from fsamc.fold.inputs import FoldInputs
from fsamc.heads.base import make_head
from fsamc.training import loop as training
from tests.fsamc.kinds import DETECTORS, HEADS

TRAINED = [kind for kind, settings in HEADS.items() if settings.trained]


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize(("shots", "epochs"), [(1, 3), (2, 2), (3, 1)])
def test_the_steps_counted_are_those_taken(tiny_config, monkeypatch, kind, shots, epochs):
    config = updated(tiny_config, {"head.kind": kind, "shots": shots, "finetune.epochs": {2: epochs}})
    taken = []

    class Counting(torch.optim.SGD):
        def step(self, closure=None):
            taken.append(1)

    monkeypatch.setattr(training, "adam", lambda head, lr: Counting(head.parameters(), lr))
    head = make_head(config.head, n_patches=4, dim=6, generator=torch.Generator().manual_seed(0))
    support = [Maps(torch.randn(shots, 4, 6), torch.rand(shots, 4)) for _ in range(3)]
    training.finetune(head, support, config.finetune)
    assert finetuning_steps(config, n_classes=3) == len(taken)


def test_what_does_not_learn_takes_no_step_and_a_classifier_of_images_one_per_image_and_pass(tiny_config):
    assert finetuning_steps(updated(tiny_config, {"head.kind": "prototype"}), n_classes=3) == 0
    direct = {"head.kind": "direct", "head.epochs": 7, "features.backbone": "resnet18", "shots": 2}
    assert finetuning_steps(updated(tiny_config, direct), n_classes=3) == 7 * 2 * 3


@pytest.mark.parametrize("kind", [kind for kind, settings in HEADS.items() if settings.sees == "maps"])
def test_every_head_can_be_timed(tiny_config, kind):
    cost = head_cost(updated(tiny_config, {"head.kind": kind}), n_classes=3)
    assert cost.image > 0
    assert (cost.round > 0) == (cost.step > 0) == HEADS[kind].trained


def test_a_larger_encoder_takes_longer(tiny_config):
    small, large = ({"head.pool": "flatten", "head.hidden": (width, 8)} for width in (8, 16384))
    costs = [head_cost(updated(tiny_config, changes), n_classes=3) for changes in (small, large)]
    assert costs[0].round < costs[1].round
    assert costs[0].step < costs[1].step


@pytest.mark.parametrize("kind", DETECTORS)
def test_every_detector_can_be_timed(tiny_category, tiny_config, kind):
    inputs = FoldInputs(
        tiny_category, updated(tiny_config, {"reference.kind": kind, "pretrain.enabled": False}), seed=1
    )
    cost = detector_cost(inputs.bank)
    assert cost.learn > 0
    assert cost.comparing(1000) >= cost.comparing(10) > 0


def test_comparing_grows_with_the_good_images():
    assert DetectorCost(learn=1.0, compare=2.0, each=0.5).comparing(10) == 7.0


def test_images_and_pseudo_defects_can_be_timed(tiny_category, tiny_config, tiny_textures):
    inputs = FoldInputs(tiny_category, tiny_config, seed=1, textures=tiny_textures)
    assert image_cost(inputs.defects) > 0
    assert image_cost(inputs.pseudo) > 0
    cost = pseudo_cost(inputs.pseudo)
    assert cost.defect > 0
    assert cost.foreground >= 0


def test_a_classifier_of_images_can_be_timed(tiny_category, tiny_config):
    direct = {"head.kind": "direct", "features.backbone": "resnet18", "features.weights": "random"}
    cost = direct_cost(tiny_category, updated(tiny_config, {**direct, "head.trainable": "all"}))
    assert cost.step >= 0  # the difference of two times
    assert cost.image > 0
    assert cost.round == 0
