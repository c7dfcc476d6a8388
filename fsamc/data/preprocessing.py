"""Preprocessing that a network's weights were trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interpolation = Literal["bilinear", "bicubic"]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How images become a network's input; by default as torchvision's ImageNet weights want it.

    Attributes:
        mean, std: of red, green and blue, for values in [0, 1].
        interpolation: how images are resized.
    """

    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Interpolation = "bilinear"


IMAGENET = Preprocessing()
