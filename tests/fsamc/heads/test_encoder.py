from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.detectors.residual import Maps
from tests.fsamc.heads.test_heads import VARIANTS, D, P, classes, make, maps


def papers_encoder(head: Any, values: Tensor) -> Tensor:
    """Two 1x1 convolutions with batch normalisation and ReLU on [B, D, 3, 3], flattened, a linear layer, ReLU, norm."""
    x = values.transpose(1, 2).unflatten(2, (3, 3))
    for linear, norm in ((head.encoder.conv1, head.encoder.norm1), (head.encoder.conv2, head.encoder.norm2)):
        convolution, norm2d = nn.Conv2d(linear.in_features, linear.out_features, 1), nn.BatchNorm2d(linear.out_features)
        convolution.weight.data, convolution.bias.data = linear.weight.data[..., None, None], linear.bias.data
        norm2d.load_state_dict(norm.state_dict())
        x = F.relu(norm2d.train(head.training)(convolution(x)))
    channels = x.shape[1]
    weights = head.encoder.out.weight.unflatten(1, (P, channels)).transpose(1, 2).flatten(1)  # as convolutions flatten
    embedding = F.relu(x.flatten(1) @ weights.T + head.encoder.out.bias)
    return embedding / embedding.norm(dim=1, keepdim=True)


@pytest.mark.parametrize("training", [True, False])
def test_linear_layers_over_patches_are_the_papers_convolutions(training):
    head = make(pool="flatten").train(training)
    with torch.no_grad():
        for values in head.parameters():
            values.add_(torch.linspace(-0.1, 0.1, values.numel()).reshape(values.shape))
        expected = papers_encoder(head, maps(4).values)
        torch.testing.assert_close(head.encode(maps(4)), expected)


@pytest.mark.parametrize("pool", ["flatten", "anomalous"])
def test_batch_statistics_are_used_in_training_and_kept_ones_afterwards(pool):
    head = make(pool=pool, patches=4).train()
    together = head.encode(maps(4))
    alone = torch.cat([head.encode(maps(4).take([i])) for i in range(4)])
    assert not torch.allclose(together, alone, atol=1e-3)
    seen = head.eval().encode(maps(4))
    fresh = make(pool=pool, patches=4).eval().encode(maps(4))
    assert not torch.allclose(seen, fresh, atol=1e-3)


def test_sizes_are_the_settings():
    head: Any = make(pool="flatten", hidden=(7, 3), embedding=11)
    shapes = {name: tuple(values.shape) for name, values in head.named_parameters() if values.ndim == 2}
    assert shapes == {"encoder.conv1.weight": (7, D), "encoder.conv2.weight": (3, 7), "encoder.out.weight": (11, P * 3)}


def test_weights_are_kaiming_normal_and_biases_nothing():
    head: Any = make(pool="flatten", dim=400, hidden=(300, 200), n_patches=4)
    for layer in (head.encoder.conv1, head.encoder.conv2, head.encoder.out):
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.1)
        assert abs(layer.weight.mean().item()) < 0.01
        assert not layer.bias.any()


# Heads that look at the most anomalous patches.
LOOKING = pytest.mark.parametrize("kind", sorted({settings["kind"] for settings in VARIANTS.values()}))
WEIGHTS = pytest.mark.parametrize("weights", ["uniform", "excess"])


def scores(kind: str, queries: Maps, support: Maps, **settings: Any) -> Tensor:
    head = make(kind, **settings).eval()
    return head.relate(head.encode(queries), classes(head, support))


def changed(batch: Maps, patches: Tensor) -> Maps:
    """Other values at some patches [B, k] of each image, the distances as they were."""
    values = batch.values.clone()
    values.scatter_(1, patches[..., None].expand(-1, -1, D), 7.0)
    return Maps(values, batch.distances)


@LOOKING
@WEIGHTS
@pytest.mark.parametrize("k", [1, 3, 8])
def test_the_k_most_anomalous_patches_speak_and_no_other(kind, k, weights):
    queries, support = maps(4), maps(3, seed=1)
    order = queries.distances.argsort(1, descending=True)
    before = scores(kind, queries, support, patches=k, weights=weights)
    assert torch.equal(scores(kind, changed(queries, order[:, k:]), support, patches=k, weights=weights), before)
    assert (scores(kind, changed(queries, order[:, k - 1 : k]), support, patches=k, weights=weights) != before).all()


@LOOKING
@WEIGHTS
def test_neither_the_order_of_the_patches_nor_the_unit_of_distances_matters(kind, weights):
    queries, support = maps(4), maps(3, seed=1)
    shuffled = torch.randperm(P, generator=torch.Generator().manual_seed(0))
    moved = Maps(queries.values[:, shuffled], queries.distances[:, shuffled] * 3)
    before = scores(kind, queries, support, patches=4, weights=weights)
    torch.testing.assert_close(scores(kind, moved, support, patches=4, weights=weights), before)


@WEIGHTS
@pytest.mark.parametrize("k", [P, P + 1, 1000])
def test_more_patches_than_there_are_means_all_of_them(k, weights):
    queries, support = maps(4), maps(3, seed=1)
    expected = F.cosine_similarity(queries.values.mean(1)[:, None], support.values.mean(1)[None], dim=-1)
    torch.testing.assert_close(scores("prototype", queries, support, patches=k, weights=weights), expected)


def hand_made() -> Maps:
    """One image of four patches of two channels; from far to near: the third, the first, the last, the second."""
    values = torch.tensor([[[4.0, 0.0], [9.0, 9.0], [0.0, 3.0], [5.0, 5.0]]])
    return Maps(values, torch.tensor([[3.0, 1.0, 6.0, 2.0]]))


@pytest.mark.parametrize(
    ("k", "weights", "expected"),
    [
        (1, "uniform", (0.0, 1.0)),
        (2, "uniform", (0.8, 0.6)),  # (0, 3) + (4, 0)
        (1, "excess", (0.0, 1.0)),
        (2, "excess", (4 / 160**0.5, 12 / 160**0.5)),  # 4 (0, 3) + 1 (4, 0), beyond the distance 2 of the last
    ],
)
def test_prototypes_by_hand(k, weights, expected):
    head = make("prototype", n_patches=4, dim=2, patches=k, weights=weights)
    torch.testing.assert_close(head.encode(hand_made()), torch.tensor([expected]))


def test_without_any_excess_the_patches_count_alike():
    flat = Maps(hand_made().values, torch.ones(1, 4))
    found = make("prototype", n_patches=4, dim=2, patches=2, weights="excess").encode(flat)
    torch.testing.assert_close(found, F.normalize(torch.tensor([[13.0, 9.0]])))  # ties: the first two


def test_the_pooled_contrastive_head_is_half_prototype_and_half_its_convolutions():
    settings = {"patches": 3, "weights": "excess", "hidden": (8, 4)}
    head: Any = make(pool="anomalous", **settings).eval()
    queries = maps(5)
    found, net = head.encode(queries), head.encoder
    prototype = make("prototype", **settings).encode(queries)
    torch.testing.assert_close(found[:, :D] * 2**0.5, prototype)
    order = queries.distances.argsort(1, descending=True)
    for image, learnt in enumerate(found[:, D:]):
        patches, distances = queries.values[image, order[image, :3]], queries.distances[image, order[image]]
        convolved = net.norm2(net.conv2(F.relu(net.norm1(net.conv1(patches))))).relu()  # [3, 4]
        mean = (distances[:3] - distances[3]) @ convolved
        torch.testing.assert_close(learnt * 2**0.5, mean / mean.norm())


def test_one_patch_of_one_image_is_normalised_as_when_classifying_since_it_has_no_variance():
    head = make(pool="anomalous", patches=1)
    for _ in range(3):
        head.train().encode(maps(4))
    one = maps(4).take([2])
    torch.testing.assert_close(head.train().encode(one), head.eval().encode(one))
    head.train().encode(one).sum().backward()
    assert any(values.grad is not None and values.grad.abs().max() > 0 for values in head.parameters())
