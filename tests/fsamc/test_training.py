from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc import training
from fsamc.config import Finetune, HeadSettings, Pretrain
from fsamc.episodes import pretraining_round
from fsamc.heads.base import Head, head_class
from fsamc.residual import Maps, ResidualMaps

CLASSES, P, D = 4, 16, 12


def problem(per_class: int, *, seed: int = 0, noise: float = 1.0) -> tuple[ResidualMaps, np.ndarray]:
    """Images whose class is one of the last four channels in a quarter of the patches, beside eight of louder noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    features = rng.normal(0, 0.2, (len(labels), P, D))
    features[:, :4, :8] += rng.normal(0, noise, (len(labels), 1, 8))
    features[np.arange(len(labels))[:, None], np.arange(4), 8 + labels[:, None]] += 1
    nowhere = np.zeros((len(labels), P), np.int64)
    normal = np.zeros((1, D), np.float16)
    maps = ResidualMaps(features.astype(np.float16), normal, nowhere, residual=True, scale=None, device="cpu")
    return maps, labels


def make_head(seed: int = 0) -> Head:
    settings = HeadSettings(kind="contrastive", pool="flatten", hidden=(32, 16), embedding=32)
    generator = torch.Generator().manual_seed(seed)
    return head_class("contrastive")(settings, patches=P, dim=D, generator=generator)


def make_still() -> Head:
    """A head without the biases that its norms undo: their gradients are rounding errors, which Adam makes steps of."""
    head = make_head()
    for name, values in head.named_parameters():
        values.requires_grad_(name not in ("conv1.bias", "conv2.bias"))
    return head


def pretrain(head: Head, *, rounds: int = 20, threshold: float = 1.0, seed: int = 0, lr: float = 3e-3) -> list[float]:
    maps, labels = problem(20)
    settings = Pretrain(pseudo_classes=4, stop_threshold=threshold, max_rounds=rounds, queries=32, lr=lr)
    return training.pretrain(head, maps, labels, settings, torch.Generator().manual_seed(seed))


def support_of(shots: int, *, seed: int = 0, noise: float = 1.0) -> list[Maps]:
    maps, labels = problem(shots, seed=seed, noise=noise)
    return [maps.take(np.flatnonzero(labels == label)) for label in range(CLASSES)]


def assert_same_state(one: Head, other: Head, *, exactly: bool = True) -> None:
    tolerance = {"rtol": 0.0, "atol": 0.0} if exactly else {"rtol": 1e-4, "atol": 1e-5}
    for name, values in one.state_dict().items():
        torch.testing.assert_close(values, other.state_dict()[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}")


def states_differ(one: Head, other: Head) -> bool:
    return any(not torch.equal(values, other.state_dict()[name]) for name, values in one.state_dict().items())


def gradients(head: Head, queries: Maps, labels: Tensor, support: Maps, *, through_support: bool) -> list[Tensor]:
    anchors = head.encode(support)
    logits = head.relate(head.encode(queries), anchors if through_support else anchors.detach())
    return list(torch.autograd.grad(F.cross_entropy(logits, labels), list(head.parameters())))


def test_no_gradient_flows_through_the_support():
    maps, labels = problem(3)
    queries, support, truth = maps.take([1, 2, 4, 8]), maps.take([0, 3, 6, 9]), torch.from_numpy(labels[[1, 2, 4, 8]])
    head = make_head().train()
    constant, through = (
        gradients(copy.deepcopy(head), queries, truth, support, through_support=way) for way in (False, True)
    )
    training._step(head, torch.optim.SGD(head.parameters(), lr=0.1), queries, truth, support)
    found = [values.grad for values in head.parameters()]
    torch.testing.assert_close(found, constant)
    assert all((one - other).norm() > 0.01 * other.norm() for one, other in zip(found[:2], through[:2], strict=True))


def test_a_step_goes_against_the_gradient_of_this_step_alone():
    maps, labels = problem(3)
    head, truth = make_head().train(), torch.from_numpy(labels[[1, 4]])
    optimiser = torch.optim.SGD(head.parameters(), lr=0.1)
    for rows in ([1, 4], [2, 5]):
        before = copy.deepcopy(head)
        slopes = gradients(copy.deepcopy(head), maps.take(rows), truth, maps.take([0, 3]), through_support=False)
        logits = training._step(head, optimiser, maps.take(rows), truth, maps.take([0, 3]))
        for values, old, slope in zip(head.parameters(), before.parameters(), slopes, strict=True):
            torch.testing.assert_close(values, old - 0.1 * slope)
        torch.testing.assert_close(
            logits, before.relate(before.encode(maps.take(rows)), before.encode(maps.take([0, 3])))
        )
        assert not logits.requires_grad


def test_pretraining_is_its_rounds_one_adam_step_each():
    head, by_hand = make_still(), make_still().train()
    accuracies = pretrain(head, rounds=4)
    maps, labels = problem(20)
    generator, optimiser = torch.Generator().manual_seed(0), torch.optim.Adam(by_hand.parameters(), lr=3e-3)
    for accuracy in accuracies:
        drawn = pretraining_round(labels, n_classes=4, n_queries=32, generator=generator)
        anchors = by_hand.encode(maps.take(drawn.support)).detach()
        logits = by_hand.relate(by_hand.encode(maps.take(drawn.queries)), anchors)
        assert accuracy == pytest.approx(np.mean(logits.argmax(1).numpy() == drawn.labels)), "before the round's step"
        optimiser.zero_grad()
        F.cross_entropy(logits, torch.from_numpy(drawn.labels)).backward()
        optimiser.step()
    assert len(accuracies) == 4
    assert_same_state(head, by_hand, exactly=False)


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.8])
def test_pretraining_stops_at_the_first_round_above_the_threshold(threshold):
    head, until_then = make_head(), make_head()
    accuracies = pretrain(head, rounds=100, threshold=threshold)
    assert all(accuracy <= threshold for accuracy in accuracies[:-1])
    assert accuracies[-1] > threshold
    assert len(accuracies) < 100
    assert pretrain(until_then, rounds=len(accuracies)) == accuracies
    assert_same_state(head, until_then)


@pytest.mark.parametrize("rounds", [1, 7])
def test_pretraining_never_goes_past_its_rounds(rounds):
    assert len(pretrain(make_head(), rounds=rounds)) == rounds


def test_an_accuracy_equal_to_the_threshold_does_not_stop():
    accuracies = pretrain(make_head(), rounds=100)
    assert accuracies.count(1.0) > 10
    assert len(accuracies) == 100


def test_pretraining_learns_what_can_be_learnt():
    accuracies = pretrain(make_head(), rounds=100)
    assert np.mean(accuracies[:5]) < 0.55, "it should have to be learnt"
    assert np.mean(accuracies[-10:]) > 0.9


def test_pretraining_learns_nothing_from_shuffled_classes():
    maps, labels = problem(20)
    shuffled = np.random.default_rng(0).permutation(labels)
    settings = Pretrain(pseudo_classes=4, stop_threshold=1.0, max_rounds=30, queries=32, lr=1e-4)
    accuracies = training.pretrain(make_head(), maps, shuffled, settings, torch.Generator().manual_seed(0))
    assert abs(np.mean(accuracies) - 0.25) < 0.08, "chance"


def test_pretraining_is_a_function_of_head_and_generator():
    one, same, other = make_head(), make_head(), make_head()
    assert pretrain(one) == pretrain(same) != pretrain(other, seed=1)
    assert_same_state(one, same)
    assert states_differ(one, other)


@pytest.mark.parametrize("settings", [Finetune(), Finetune(epochs={}), Finetune(epochs={2: 9})])
def test_one_shot_leaves_the_head_as_it_is(settings):
    head = make_head()
    training.finetune(head, support_of(1), settings)
    assert_same_state(head, make_head())


def test_no_epochs_leave_the_head_as_it_is():
    head = make_head()
    training.finetune(head, support_of(3), Finetune(epochs={2: 0, 4: 9}))
    assert_same_state(head, make_head())


def test_finetuning_is_algorithm_1_one_adam_step_each():
    head, by_hand, support = make_still(), make_still().train(), support_of(2)[:3]
    training.finetune(head, support, Finetune(epochs={2: 2}, lr=1e-3))
    optimiser = torch.optim.Adam(by_hand.parameters(), lr=1e-3)
    one_epoch = [(0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0), (2, 0, 1), (2, 1, 0)]
    for label, query, other in one_epoch * 2:
        anchors = torch.cat([maps.values[[other]] for maps in support])
        distances = torch.cat([maps.distances[[other]] for maps in support])
        encoded = by_hand.encode(Maps(anchors, distances)).detach()
        logits = by_hand.relate(by_hand.encode(support[label].take([query])), encoded)
        optimiser.zero_grad()
        F.cross_entropy(logits, torch.tensor([label])).backward()
        optimiser.step()
    assert_same_state(head, by_hand, exactly=False)
    assert states_differ(head, make_head())


def test_epochs_are_those_of_the_shots():
    long, short = make_head(), make_head()
    training.finetune(long, support_of(3), Finetune(epochs={2: 5, 3: 1}))
    training.finetune(short, support_of(3), Finetune(epochs={2: 1}))
    assert_same_state(long, short)


def test_finetuning_learns_what_tells_the_classes_apart():
    before, after = [], []
    for seed in range(4):
        head, (maps, labels) = make_head(seed), problem(20, seed=100 + seed, noise=0.25)
        support = support_of(5, seed=seed, noise=0.25)
        before.append(accuracy(head, support, maps, labels))
        training.finetune(head, support, Finetune(epochs={2: 6}, lr=1e-2))
        after.append(accuracy(head, support, maps, labels))
    assert np.mean(after) > np.mean(before) + 0.1, (before, after)
    assert np.mean(after) > 0.7, "well above the 0.25 of chance"


@torch.no_grad()
def accuracy(head: Head, support: list[Maps], maps: ResidualMaps, labels: np.ndarray) -> float:
    head.eval()
    anchors = torch.stack([head.encode(of_class).mean(0) for of_class in support])
    return float(np.mean(head.relate(head.encode(maps.take(range(len(labels)))), anchors).argmax(1).numpy() == labels))
