from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.sphere import on_sphere
from fsamc.heads.sums import SumNorm, relu_linear
from fsamc.representation.represented import Represented
from tests.fsamc.heads.test_heads import make, maps
from tests.fsamc.kinds import make_head

Q, C, P, D, R = 5, 3, 9, 6, 8


def halves(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Of queries [Q, P, R] and of support [C, P, R], with other means at other places."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randn(P, R, generator=generator)
    return tuple(places + torch.randn(n, P, R, generator=generator).double() for n in (Q, C))


def sums(queries: Tensor, support: Tensor) -> Tensor:
    """Of all pairs, [Q, C, P, R]."""
    return queries[:, None] + support


def twin(norm: SumNorm) -> nn.BatchNorm1d:
    made = nn.BatchNorm1d(R).double()
    made.load_state_dict(norm.state_dict(), strict=False)
    return made


def some_norm() -> SumNorm:
    norm = SumNorm(R).double()
    for place, values in enumerate(norm.parameters()):
        values.data += torch.linspace(-0.5, 0.5, R) * (place + 1)
    return norm


def test_the_norm_of_sums_is_batch_normalisation_of_all_of_them():
    norm = some_norm()
    plain = twin(norm)
    for seed in range(3):  # the running statistics move with each
        found = sums(*norm(*halves(seed)))
        torch.testing.assert_close(found, plain(sums(*halves(seed)).view(-1, R)).view_as(found))
    assert (norm.running_mean - plain.running_mean).abs().max() < 1e-12
    assert (norm.running_var - plain.running_var).abs().max() < 1e-12
    torch.testing.assert_close(
        sums(*norm.eval()(*halves(9))), plain.eval()(sums(*halves(9)).view(-1, R)).view(Q, C, P, R)
    )


@pytest.mark.parametrize("training", [True, False])
def test_gradients_through_the_norm_and_the_layer_after_it_are_those_of_the_plain_way(training):
    norm, layer = some_norm().train(training), nn.Linear(R, 4).double()
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    plain = twin(norm).train(training)
    one, other = ([half.clone().requires_grad_() for half in halves()] for _ in range(2))
    found = relu_linear(*norm(*one), layer)
    expected = layer(plain(sums(*other).view(-1, R)).relu()).view_as(found)
    torch.testing.assert_close(found, expected)
    towards = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
    slopes = torch.autograd.grad((found * towards).sum(), [*one, *norm.parameters(), *layer.parameters()])
    plain_slopes = torch.autograd.grad((expected * towards).sum(), [*other, *plain.parameters(), *layer.parameters()])
    for slope, plain_slope in zip(slopes, plain_slopes, strict=True):
        torch.testing.assert_close(slope, plain_slope, atol=1e-12, rtol=1e-9)


def concatenated(head: Any, queries: Tensor, support: Tensor) -> Tensor:
    """The paper's way: maps on maps, [2D, 3, 3] of each pair, through convolutions; weights in the head's order."""
    pairs = torch.cat(
        [support[None].expand(len(queries), -1, -1, -1), queries[:, None].expand(-1, len(support), -1, -1)], 3
    )
    x = pairs.flatten(0, 1).transpose(1, 2).unflatten(2, (3, 3))  # [Q*C, 2D, 3, 3]
    for linear, norm in ((head.conv1, head.norm1), (head.conv2, head.norm2)):
        norm2d = nn.BatchNorm2d(linear.out_features).to(x.dtype)
        norm2d.load_state_dict(norm.state_dict(), strict=False)
        x = F.relu(norm2d.train(head.training)(F.conv2d(x, linear.weight[..., None, None], linear.bias)))
    x = x.flatten(2).transpose(1, 2).flatten(1)
    norm3 = copy.deepcopy(head.norm3)
    return head.last(F.relu(norm3(head.hidden(x)))).view(len(queries), len(support))


@pytest.mark.parametrize("training", [True, False])
def test_the_head_is_the_papers_network_on_concatenated_maps(training):
    head = make("vanilla", pool="flatten").double().train(training)
    with torch.no_grad():
        for values in head.parameters():
            values.add_(torch.linspace(-0.1, 0.1, values.numel()).reshape(values.shape))
    queries, support = maps(4).values.double(), maps(3, seed=1).values.double()
    torch.testing.assert_close(head.relate(queries, support), concatenated(head, queries, support))


def test_the_pooled_network_is_the_same_on_maps_of_one_patch():
    pooled, flat = (make("vanilla", pool=pool, shape=(1, D + 2, 0)) for pool in ("anomalous", "flatten"))
    batches = [maps(4), maps(3, seed=1)]
    vectors = [on_sphere(batch)[:, None] for batch in batches]
    none = torch.empty(4, 0)
    expected = flat(*(Represented(one, none[: len(one)]) for one in vectors))
    seeing = make("vanilla", pool="anomalous", shape=(P, D, 2))
    seeing.load_state_dict(pooled.state_dict())
    torch.testing.assert_close(seeing(*batches), expected)


def test_sizes_are_the_papers():
    head = make_head("vanilla", shape=(784, 1024, 0), pool="flatten")
    shapes = {name: tuple(values.shape) for name, values in head.named_parameters() if values.ndim == 2}
    assert shapes == {
        "conv1.weight": (512, 2048),
        "conv2.weight": (128, 512),
        "hidden.weight": (128, 784 * 128),
        "last.weight": (1, 128),
    }
    for name, (_, inputs) in shapes.items():
        spread = head.get_parameter(name).std().item()
        assert spread == pytest.approx((2 / inputs) ** 0.5, rel=0.2 if name == "last.weight" else 0.02), "Kaiming's"


@pytest.mark.parametrize("kind", ["siamese", "vanilla"])
def test_the_loss_of_pairs_by_hand(kind):
    """Sigmoids of 0.8 and 0.5, the positive weighing C - 1: -(2 ln 0.8 + 2 ln 0.5) / 3, and with another label."""
    logits = torch.tensor([[math.log(4), 0.0, 0.0]])
    by_hand = {0: 2 * math.log(0.8) + 2 * math.log(0.5), 1: math.log(0.2) + 3 * math.log(0.5)}
    for label, expected in by_hand.items():
        assert make(kind).loss(logits, torch.tensor([label])).item() == pytest.approx(-expected / 3, rel=1e-6)
