from __future__ import annotations

import copy
from typing import ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from fsamc.config.learning import Maml, Pretrain
from fsamc.heads.base import Head
from fsamc.heads.head_kinds import MamlSettings
from fsamc.heads.maml import MamlHead
from fsamc.representation.represented import Represented
from fsamc.training import loop as training
from fsamc.training.episodes import Batch, another_round, pretraining_round
from fsamc.training.inner_loop import adapted_logits
from tests.fsamc.heads.test_heads import make, maps
from tests.fsamc.training.test_training import (
    assert_same_state,
    make_head,
    make_still,
    problem,
    states_differ,
)

Order = Literal["first", "second"]
ORDERS = pytest.mark.parametrize("order", ["first", "second"])


class Line(Head):
    """One weight w: the logit of a query x is w x, the loss (w x - 1)^2 / 2."""

    trained: ClassVar[bool] = True

    def __init__(self, start: float) -> None:
        nn.Module.__init__(self)
        self.weight = nn.Parameter(torch.tensor(start))

    def encode(self, batch: Represented) -> Tensor:
        return batch.values[:, 0]

    def relate(self, queries: Tensor, support: Tensor) -> Tensor:
        return self.weight * queries

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits - 1).square().sum() / 2


def point(x: float) -> Batch:
    one = Represented(torch.tensor([[[x]]]), torch.empty(1, 0))
    return Batch(one, torch.tensor([0]), one)


# Inner x = 2 from w = 1: 1 - 0.1 (2 - 1) 2 = 0.8, then 0.8 - 0.1 (1.6 - 1) 2 = 0.68; each step shrinks dw by 1 - 0.1 4.
@pytest.mark.parametrize(
    ("order", "steps", "logit", "slope"),
    [
        ("first", 1, 2.4, 1.4 * 3),
        ("second", 1, 2.4, 1.4 * 3 * 0.6),
        ("first", 2, 2.04, 1.04 * 3),
        ("second", 2, 2.04, 1.04 * 3 * 0.36),
    ],
)
def test_both_orders_by_hand(order, steps, logit, slope):
    head = Line(1.0)
    logits = adapted_logits(head, point(2.0), point(3.0), Maml(order=order, inner_steps=steps, inner_lr=0.1))
    assert logits.item() == pytest.approx(logit)
    head.loss(logits, torch.tensor([0])).backward()
    assert head.weight.grad.item() == pytest.approx(slope)
    assert head.weight.item() == 1.0


class Whole(MamlHead):
    """With no stop of the gradient at the support, so that gradients are slopes."""

    support_learns: ClassVar[bool] = True


def whole(pool: Literal["flatten", "anomalous"]) -> Head:
    settings = MamlSettings(pool=pool, hidden=(5, 4), embedding=6, temperature=0.5)
    return Whole(settings, shape=(9, 6, 2), generator=torch.Generator().manual_seed(0)).double().train()


def batch(seed: int) -> Batch:
    queries, support = (
        Represented(m.values.double(), m.profiles.double()) for m in (maps(6, seed=seed), maps(3, seed=seed + 1))
    )
    return Batch(queries, torch.tensor([0, 1, 2, 0, 1, 2]), support)


def outer_loss(head: Head, settings: Maml) -> Tensor:
    return head.loss(adapted_logits(head, batch(0), batch(5), settings), batch(5).labels)


def slopes(head: Head, settings: Maml) -> dict[str, Tensor]:
    """Central differences of the outer loss."""
    found = {}
    for name, values in head.named_parameters():
        flat, found[name] = values.detach().view(-1), torch.empty_like(values).view(-1)
        for place in range(len(flat)):
            ends = []
            for sign in (1, -1):
                flat[place] += sign * 1e-6
                with torch.no_grad():
                    ends.append(outer_loss(head, settings).item())
                flat[place] -= sign * 1e-6
            found[name][place] = (ends[0] - ends[1]) / 2e-6
        found[name] = found[name].detach().view_as(values)
    return found


@pytest.mark.parametrize(("pool", "steps"), [("flatten", 1), ("anomalous", 2)])
def test_the_second_order_is_the_slope_of_the_outer_loss_and_the_first_is_not(pool, steps):
    head = whole(pool)
    by_order: dict[str, list[Tensor]] = {}
    for order in ("first", "second"):
        settings = Maml(order=order, inner_lr=0.1, inner_steps=steps)
        by_order[order] = list(torch.autograd.grad(outer_loss(head, settings), list(head.parameters())))
    expected = list(slopes(head, settings).values())
    torch.testing.assert_close(by_order["second"], expected, atol=1e-7, rtol=1e-5)
    apart = sum((one - other).norm() for one, other in zip(by_order["first"], expected, strict=True))
    assert apart > 0.01 * sum(values.norm() for values in expected)


@ORDERS
@pytest.mark.parametrize("steps", [1, 2])
def test_only_the_first_pass_moves_the_running_statistics(order, steps):
    head, plain = whole("flatten"), whole("flatten")
    adapted_logits(head, batch(0), batch(5), Maml(order=order, inner_lr=0.5, inner_steps=steps))
    plain(batch(0).queries, batch(0).support)
    assert_same_state(head, plain)
    assert states_differ(head, whole("flatten"))


@ORDERS
def test_inner_steps_are_plain_gradient_steps(order):
    head = whole("anomalous")
    settings = Maml(order=order, inner_lr=0.1, inner_steps=3)
    logits = adapted_logits(head, batch(0), batch(5), settings)
    stepped = whole("anomalous")
    for _ in range(3):
        stepped.zero_grad()
        stepped.loss(stepped(batch(0).queries, batch(0).support), batch(0).labels).backward()
        with torch.no_grad():
            for values in stepped.parameters():
                values -= 0.1 * values.grad
    torch.testing.assert_close(logits, stepped(batch(5).queries, batch(5).support))


def settings_of(rounds: int, *, tasks: int, order: Order = "second", threshold: float = 1.0) -> Pretrain:
    maml = Maml(tasks=tasks, order=order, inner_lr=0.05)
    return Pretrain(pseudo_classes=2, stop_threshold=threshold, max_rounds=rounds, queries=8, lr=3e-3, maml=maml)


def pretrained(settings: Pretrain) -> tuple[Head, list[float]]:
    head, (images, labels) = make_still("maml"), problem(20)
    return head, training.pretrain(head, images, labels, settings, torch.Generator().manual_seed(0))


@ORDERS
def test_an_adam_step_is_on_the_summed_outer_losses_of_its_tasks(order):
    """Five rounds at two tasks a step: two steps, and one on what was left."""
    head, accuracies = pretrained(settings_of(5, tasks=2, order=order))
    by_hand, (images, labels) = make_still("maml").train(), problem(20)
    generator, optimiser = torch.Generator().manual_seed(0), training.adam(by_hand, 3e-3)

    def task() -> Tensor:
        first = pretraining_round(labels, n_classes=2, n_queries=8, generator=generator)
        other = another_round(labels, first, n_queries=8, generator=generator)
        inner, outer = (
            Batch(images.take(drawn.queries), torch.from_numpy(drawn.labels), images.take(drawn.support))
            for drawn in (first, other)
        )
        assert not set(labels[first.support]) & set(labels[other.support])
        logits = adapted_logits(by_hand, inner, outer, Maml(order=order, inner_lr=0.05))
        assert accuracies.pop(0) == (logits.argmax(1) == outer.labels).float().mean().item()
        return by_hand.loss(logits, outer.labels)

    for tasks in (2, 2, 1):
        optimiser.zero_grad()
        torch.stack([task() for _ in range(tasks)]).sum().backward()
        optimiser.step()
    assert_same_state(head, by_hand, exactly=False)


@pytest.mark.parametrize("pool", ["flatten", "anomalous"])
def test_the_network_is_the_contrastive_one(pool):
    maml, contrastive = (make(kind, pool=pool) for kind in ("maml", "contrastive"))
    assert_same_state(maml, contrastive)
    torch.testing.assert_close(maml(maps(4), maps(3)), contrastive(maps(4), maps(3)), rtol=0, atol=0)


def test_no_gradient_flows_through_the_support_of_either_batch():
    head = make_head(kind="maml").train()
    (images, _), truth = problem(4), torch.tensor([0, 1])
    inner, outer = (
        Batch(
            images.take(rows),
            truth,
            Represented(images.take(others).values.requires_grad_(), images.take(others).profiles),
        )
        for rows, others in (([0, 4], [1, 5]), ([2, 6], [3, 7]))
    )
    head.loss(adapted_logits(copy.deepcopy(head), inner, outer, Maml()), truth).backward()
    assert inner.support.values.grad is None
    assert outer.support.values.grad is None
