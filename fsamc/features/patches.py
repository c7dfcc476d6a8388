"""Feature maps to patch features (paper 3.2, PatchCore), in closed form.

The definition, the long way: cut each feature map into 3x3 patches (stride 1, zero padding), bring the patches of
coarser maps to the first map's grid by bilinear interpolation, average-pool each patch (its channels x 9 numbers in a
row) to `dim` numbers, stack the layers, and average-pool the layers x dim numbers to `dim` again.

All of it is linear, and interpolation acts on the grid alone, so it commutes with everything that acts on channels.
Each layer's part is therefore one 3x3 convolution on the layer's own grid, then the interpolation. A pooling bin is a
run of neighbours, so an output channel reads a short run of input channels: one for ResNet-50's layer 2 (the kernel
[1 1 1; 1 2 1; 1 1 1] / 10), two for its layer 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 9  # numbers of a 3x3 patch in one channel


def patch_features(layer2: Tensor | np.ndarray, layer3: Tensor | np.ndarray, *, dim: int = 1024) -> Tensor:
    """Return the patch features of two feature maps: `patch_features_of([layer2, layer3], dim)`.

    Args:
        layer2: [B, C2, H, W], any float dtype, torch or NumPy; its grid is the result's.
        layer3: [B, C3, H3, W3].
        dim: channels of a patch feature.

    Returns:
        float32 [B, H*W, dim], rows of the grid first, on the device of the maps.
    """
    return patch_features_of([layer2, layer3], dim)


def patch_features_of(maps: Sequence[Tensor | np.ndarray], dim: int, places: np.ndarray | None = None) -> Tensor:
    """Return the patch features of one or more feature maps (paper 3.2).

    Args:
        maps: one [B, C, H, W] per layer, any float dtype, torch or NumPy; the first one's grid is the result's.
        dim: channels of a patch feature.
        places: int64 [B, k], the patches of each image that are computed, in 0 to H*W - 1; None for all.

    Returns:
        float32 [B, H*W or k, dim], rows of the grid first, on the device of the maps.

    Raises:
        ValueError: no map, a map that is not 4-dimensional, or maps of different batches.
    """
    layers = [torch.as_tensor(layer).float() for layer in maps]
    if not layers or any(layer.ndim != 4 or layer.shape[0] != layers[0].shape[0] for layer in layers):
        raise ValueError(f"expected feature maps [B, C, H, W] of one batch, found {[tuple(m.shape) for m in layers]}")
    batch, _, height, width = layers[0].shape
    if places is not None:
        return _features_at(layers, torch.from_numpy(places).to(layers[0].device), dim)
    features = layers[0].new_zeros(batch, height, width, dim)
    for position, layer in enumerate(layers):
        part = _layer_part(layer.shape[1], position, len(layers), dim)
        pooled = part.convolve(layer)
        if pooled.shape[2:] != (height, width):
            pooled = F.interpolate(pooled, (height, width), mode="bilinear", align_corners=False)
        features[..., part.outputs] += pooled.permute(0, 2, 3, 1)
    return features.flatten(1, 2)


def _features_at(layers: Sequence[Tensor], places: Tensor, dim: int) -> Tensor:
    """Compute the patch features at places int64 [B, k] alone, float32 [B, k, dim]."""
    height, width = layers[0].shape[2:]
    rows, columns = places // width, places % width
    # Of a place's middle what `grid_sample` wants, where -1 and 1 are the edges of the first and the last patch.
    middles = torch.stack([(2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1], dim=-1)[:, :, None]
    features = layers[0].new_zeros(*places.shape, dim)
    for position, layer in enumerate(layers):
        part = _layer_part(layer.shape[1], position, len(layers), dim)
        if layer.shape[2:] == (height, width):
            features[..., part.outputs] += part.at(layer, rows, columns)
        else:
            pooled = F.grid_sample(part.convolve(layer), middles, padding_mode="border", align_corners=False)
            features[..., part.outputs] += pooled[..., 0].transpose(1, 2)
    return features


class _LayerPart(NamedTuple):
    """What one layer adds to the result.

    Attributes:
        outputs: the channels of the result that this layer reaches (n of them).
        channels: int64 [n, run], the run of input channels that each of them reads.
        kernels: float32 [n, run, 3, 3], the weights on them.
    """

    outputs: slice
    channels: Tensor
    kernels: Tensor

    def convolve(self, layer: Tensor) -> Tensor:
        """float32 [B, C, H, W] -> [B, n, H, W].

        One depthwise convolution for each channel of the run: several times as fast as a grouped one, and in
        the channels-last layout that the result has anyway.
        """
        channels_last = layer.permute(0, 2, 3, 1).contiguous()
        pooled = torch.zeros(())
        for channels, kernels in zip(self.channels.unbind(1), self.kernels.split(1, dim=1), strict=True):
            inputs = channels_last[..., channels.to(layer.device)].permute(0, 3, 1, 2)
            pooled = F.conv2d(inputs, kernels.to(layer.device), padding=1, groups=len(channels)).add_(pooled)
        return pooled

    def at(self, layer: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """float32 [B, C, H, W] -> [B, k, n]: what `convolve` gives at places int64 [B, k] of the grid."""
        channels_last = F.pad(layer.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
        images = torch.arange(len(layer), device=layer.device)[:, None]
        pooled = torch.zeros((), device=layer.device)
        for down in range(3):
            for across in range(3):
                patches = channels_last[images, rows + down, columns + across]
                for channels, kernels in zip(self.channels.unbind(1), self.kernels.unbind(1), strict=True):
                    weights = kernels[:, down, across].to(layer.device)
                    pooled = pooled + patches[..., channels.to(layer.device)] * weights
        return pooled


@lru_cache(maxsize=32)
def _layer_part(n_channels: int, position: int, n_layers: int, dim: int) -> _LayerPart:
    """Return both poolings of the `position`-th layer as one sparse convolution.

    The second pooling's bins are whole: output o averages the numbers o*L .. o*L + L-1 of the L stacked layers.
    """
    outputs = slice(position * dim // n_layers, -(-(position + 1) * dim // n_layers))
    first_bin = np.arange(outputs.start, outputs.stop) * n_layers - position * dim  # of this layer's `dim` bins
    size = n_channels * PATCH
    begin = np.clip(first_bin, 0, dim) * size // dim
    end = -(-np.clip(first_bin + n_layers, 0, dim) * size // dim)
    first_channel = begin // PATCH
    run = int((-(-end // PATCH) - first_channel).max())
    first_channel = np.minimum(first_channel, n_channels - run)
    index = first_channel[:, None] * PATCH + np.arange(run * PATCH)
    weights = np.zeros(index.shape)
    for bins in (first_bin + i for i in range(n_layers)):
        low, high = (bins * size // dim)[:, None], (-(-(bins + 1) * size // dim))[:, None]
        exists = ((bins >= 0) & (bins < dim))[:, None]
        weights += exists * ((index >= low) & (index < high)) / ((high - low) * n_layers)
    channels = torch.from_numpy(first_channel[:, None] + np.arange(run))
    return _LayerPart(outputs, channels, torch.from_numpy(weights).float().reshape(-1, run, 3, 3))
