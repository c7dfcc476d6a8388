from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.heads.sphere import on_sphere
from fsamc.representation.represented import Represented
from tests.fsamc.heads.test_heads import D, P, R, make, maps


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
    head = make(pool=pool).train()
    together = head.encode(maps(4))
    alone = torch.cat([head.encode(maps(4).take([i])) for i in range(4)])
    assert not torch.allclose(together, alone, atol=1e-3)
    seen = head.eval().encode(maps(4))
    fresh = make(pool=pool).eval().encode(maps(4))
    assert not torch.allclose(seen, fresh, atol=1e-3)


def test_sizes_are_the_settings():
    head: Any = make(pool="flatten", hidden=(7, 3), embedding=11)
    shapes = {name: tuple(values.shape) for name, values in head.named_parameters() if values.ndim == 2}
    assert shapes == {"encoder.conv1.weight": (7, D), "encoder.conv2.weight": (3, 7), "encoder.out.weight": (11, P * 3)}


def test_weights_are_kaiming_normal_and_biases_nothing():
    head: Any = make(pool="flatten", shape=(4, 400, 0), hidden=(300, 200))
    for layer in (head.encoder.conv1, head.encoder.conv2, head.encoder.out):
        assert layer.weight.std().item() == pytest.approx((2 / layer.in_features) ** 0.5, rel=0.1)
        assert abs(layer.weight.mean().item()) < 0.01
        assert not layer.bias.any()


def test_the_pooled_encoder_is_the_views_mean_and_the_mean_of_their_convolutions():
    head: Any = make(pool="anomalous", hidden=(8, 4)).eval()
    batch, net = maps(5), head.encoder
    for image, embedding in enumerate(net(batch)):
        convolved = net.norm2(net.conv2(F.relu(net.norm1(net.conv1(batch.values[image]))))).relu().mean(0)
        torch.testing.assert_close(embedding[: D + R], on_sphere(batch)[image])
        torch.testing.assert_close(embedding[D + R :], convolved / convolved.norm())
    torch.testing.assert_close(head.encode(batch), F.normalize(net(batch), dim=1))


def test_one_view_of_one_image_is_normalised_as_when_classifying_since_it_has_no_variance():
    def one_view(count: int) -> Represented:
        return Represented(maps(count).values[:, :1], maps(count).profiles)

    head = make(pool="anomalous")
    for _ in range(3):
        head.train().encode(one_view(4))
    one = one_view(4).take([2])
    torch.testing.assert_close(head.train().encode(one), head.eval().encode(one))
    head.train().encode(one).sum().backward()
    assert any(values.grad is not None and values.grad.abs().max() > 0 for values in head.parameters())
