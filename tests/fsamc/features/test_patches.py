from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fsamc.features.patches import patch_features, patch_features_of


def long_way(maps: list[Tensor], dim: int) -> Tensor:
    """The definition: unfold, bring the patches to the first grid, pool each layer, stack, pool again."""
    height, width = maps[0].shape[2:]
    layers = []
    for layer in maps:
        batch, channels, h, w = layer.shape
        patches = F.unfold(layer, kernel_size=3, padding=1)  # [B, C*9, h*w]
        if (h, w) != (height, width):
            grid = patches.reshape(batch, channels * 9, h, w)
            patches = F.interpolate(grid, (height, width), mode="bilinear", align_corners=False).flatten(2)
        rows = patches.transpose(1, 2).reshape(-1, 1, channels * 9)
        layers.append(F.adaptive_avg_pool1d(rows, dim)[:, 0])
    stacked = torch.stack(layers, dim=1).flatten(1)[:, None]
    return F.adaptive_avg_pool1d(stacked, dim).reshape(maps[0].shape[0], height * width, dim)


def random_maps(*shapes: tuple[int, ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize(
    ("shapes", "dim"),
    [
        pytest.param([(2, 512, 6, 6), (2, 1024, 3, 3)], 1024, id="ResNet-50"),
        pytest.param([(2, 128, 6, 6), (2, 256, 3, 3)], 1024, id="ResNet-18"),
        pytest.param([(1, 64, 6, 8), (1, 96, 3, 4)], 1024, id="64 and 96"),
        pytest.param([(1, 64, 6, 6), (1, 96, 3, 3)], 100, id="dim 100"),
        pytest.param([(1, 64, 5, 7), (1, 96, 4, 4)], 101, id="odd dim: a bin across two layers"),
        pytest.param([(1, 256, 6, 6), (1, 512, 3, 3), (1, 1024, 2, 2)], 1024, id="three layers"),
        pytest.param([(1, 20, 6, 6), (1, 7, 6, 6), (1, 33, 2, 3), (1, 5, 1, 1)], 90, id="four layers"),
        pytest.param([(2, 24, 5, 5)], 64, id="one layer"),
        pytest.param([(2, 24, 5, 5), (2, 40, 3, 3)], 1, id="dim 1"),
    ],
)
def test_closed_form_is_the_long_way(shapes, dim):
    maps = random_maps(*shapes)
    expected = long_way([layer.double() for layer in maps], dim)
    found = patch_features_of(maps, dim)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-6 * expected.abs().max()
    places = np.random.default_rng(0).integers(0, expected.shape[1], (len(expected), 7))
    some = patch_features_of(maps, dim, places)
    expected_there = expected[torch.arange(len(expected))[:, None], torch.from_numpy(places)]
    assert some.shape == expected_there.shape
    assert (some - expected_there).abs().max() <= 1e-6 * expected.abs().max()


def test_resnet50_layer2_is_one_depthwise_kernel():
    layer2, layer3 = random_maps((1, 512, 4, 4), (1, 1024, 2, 2))
    kernel = torch.tensor([[1.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 1.0]]) / 10
    expected = F.conv2d(layer2, kernel.expand(512, 1, 3, 3), padding=1, groups=512).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patch_features(layer2, layer3)[..., :512], expected)


def test_resnet50_layer3_is_pairs_of_channels_averaged_over_the_patch_then_interpolated():
    layer2, layer3 = random_maps((1, 512, 4, 4), (1, 1024, 2, 2))
    pairs = F.avg_pool2d(layer3.unflatten(1, (512, 2)).mean(dim=2), 3, stride=1, padding=1)
    expected = F.interpolate(pairs, (4, 4), mode="bilinear", align_corners=False).flatten(2).transpose(1, 2)
    torch.testing.assert_close(patch_features(layer2, layer3)[..., 512:], expected)


def test_rows_follow_the_grid_row_by_row():
    layer2, layer3 = torch.zeros(1, 8, 4, 6), torch.zeros(1, 8, 2, 3)
    layer2[0, :, 3, 5] = 1.0
    centre = patch_features(layer2, layer3, dim=16)[0, :, :8].sum(dim=1)
    assert centre.nonzero()[:, 0].tolist() == [2 * 6 + 4, 2 * 6 + 5, 3 * 6 + 4, 3 * 6 + 5]


def test_a_batch_is_its_images():
    layer2, layer3 = random_maps((3, 32, 6, 6), (3, 48, 3, 3))
    together = patch_features(layer2, layer3, dim=40)
    alone = torch.cat([patch_features(layer2[[i]], layer3[[i]], dim=40) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numpy_of_any_float_gives_float32(dtype):
    layer2, layer3 = (layer.numpy().astype(dtype) for layer in random_maps((1, 16, 4, 4), (1, 24, 2, 2)))
    found = patch_features(layer2, layer3, dim=20)
    expected = patch_features(torch.from_numpy(layer2).float(), torch.from_numpy(layer3).float(), dim=20)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


@pytest.mark.parametrize("maps", [[], [torch.zeros(3, 4, 4)], [torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 2, 2)]])
def test_maps_that_do_not_fit_are_refused(maps):
    with pytest.raises(ValueError, match="expected feature maps"):
        patch_features_of(maps, 8)
