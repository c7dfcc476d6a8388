"""Settings of patch features (paper 3.2)."""

from __future__ import annotations

from math import ceil
from typing import Literal

from pydantic import Field, model_validator

from fsamc.config.settings import Settings


class Features(Settings):
    """Image to patch features (paper 3.2)."""

    backbone: str = Field(
        "resnet50",
        description="a torchvision ResNet's name, `timm/NAME`, `efficientnet_lite2`, a torch.export program (.pt2), or "
        "`auto`: resnet50, or efficientnet_lite2 where its ImageNet weights cannot be had",
    )
    weights: str | None = Field(
        None, description="of a named backbone: a .pth or .safetensors file, or `random`; none = ImageNet's"
    )
    layers: tuple[str, ...] = Field(("layer2", "layer3"), min_length=1, description="feature maps, finest first")
    dim: int = Field(1024, ge=1, description="channels of a patch feature")
    fit: Literal["squash", "crop", "letterbox"] = Field(
        "squash", description="how an image becomes square: resized straight, centre-cropped, or padded"
    )
    size: int = Field(224, ge=32, description="side of the network's input, pixels")
    resize: int | None = Field(None, ge=32, description="short side before a centre crop, pixels; none = size")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the backbone")
    batch: int = Field(8, ge=1, description="images per forward pass")

    @property
    def most_patches(self) -> int:
        """How many patches an image has, by the finest layer's name and a ResNet's strides; of another name, the most.

        For what must be known before the network is loaded, which says how many there are.
        """
        stride = {"layer2": 8, "layer3": 16, "layer4": 32}.get(self.layers[0], 4)
        return ceil(self.size / stride) ** 2

    @model_validator(mode="after")
    def _a_program_has_weights(self) -> Features:
        if self.weights is not None and self.backbone.endswith(".pt2"):
            raise ValueError(f"`weights` ({self.weights}) is for a named backbone; {self.backbone} holds its own")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> Features:
        if self.resize is not None and self.fit != "crop":
            raise ValueError(f"`resize` is the short side before a centre crop; with fit: {self.fit} leave it out")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"`resize` ({self.resize}) is smaller than the crop `size` ({self.size})")
        return self
