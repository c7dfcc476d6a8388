"""Settings of patch features (paper 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fsamc.config.settings import Settings

Layers = Annotated[tuple[str, ...], Field(min_length=1)]
RANDOM = "random"  # `weights` of a network that has not been trained


@dataclass(frozen=True)
class Network:
    """One backbone, as the settings name it: fields as those of `Features`."""

    backbone: str
    weights: str | None
    layers: tuple[str, ...]
    size: int


class Features(Settings):
    """Image to patch features (paper 3.2)."""

    backbone: str | Annotated[tuple[str, ...], Field(min_length=1)] = Field(
        "resnet50",
        description="a torchvision ResNet's name, `timm/NAME`, `efficientnet_lite2`, a torch.export program (.pt2), or "
        "`auto`: resnet50, or efficientnet_lite2 where its ImageNet weights cannot be had; of a list, their maps side "
        "by side, the finest grid first",
    )
    weights: str | tuple[str | None, ...] | None = Field(
        None,
        description="of a named backbone: a .pth or .safetensors file, or `random`; none = ImageNet's; of several "
        "backbones a list, or `random` for all",
    )
    layers: Layers | tuple[Layers, ...] = Field(
        ("layer2", "layer3"), description="feature maps, finest first; for several backbones also a list for each"
    )
    dim: int = Field(1024, ge=1, description="channels of a patch feature, shared evenly between the maps")
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
        stride = {"layer2": 8, "layer3": 16, "layer4": 32}.get(self.networks[0].layers[0], 4)
        return ceil(self.size / stride) ** 2

    @property
    def networks(self) -> tuple[Network, ...]:
        """Each of the backbones by itself; mostly one."""
        names, count = self._names, len(self._names)
        weights = self.weights if isinstance(self.weights, tuple) else (self.weights,) * count
        of_all = tuple(one for one in self.layers if isinstance(one, str))
        layers = [one for one in self.layers if isinstance(one, tuple)] or [of_all] * count
        return tuple(Network(*one, self.size) for one in zip(names, weights, layers, strict=True))

    @property
    def title(self) -> str:
        """The backbones' names, for people."""
        return " + ".join(self._names)

    def with_networks(self, networks: Sequence[Network]) -> Self:
        """Name the same backbones, and their weights, in another way."""
        names, weights = zip(*((one.backbone, one.weights) for one in networks), strict=True)
        named = {"backbone": names[0] if isinstance(self.backbone, str) else names}
        return self.model_copy(update=named | {"weights": weights if len(set(weights)) > 1 else weights[0]})

    @property
    def _names(self) -> tuple[str, ...]:
        return (self.backbone,) if isinstance(self.backbone, str) else self.backbone

    @model_validator(mode="after")
    def _of_each_backbone(self) -> Features:
        names = self._names
        if len(set(names)) < len(names):
            raise ValueError(f"`backbone` names one twice ({self.title}); name different ones")
        if len(names) > 1 and isinstance(self.weights, str) and self.weights != RANDOM:
            raise ValueError(f"`weights` ({self.weights}) are those of one backbone, found {self.title}; give a list")
        given = {"weights": self.weights, "layers": self.layers if isinstance(self.layers[0], tuple) else None}
        for name, value in given.items():
            if isinstance(value, tuple) and len(value) != len(names):
                raise ValueError(f"`{name}` is a list of {len(value)}, `backbone` of {len(names)}; give one for each")
        return self

    @model_validator(mode="after")
    def _a_program_has_weights(self) -> Features:
        for one in self.networks:
            if one.weights is not None and one.backbone.endswith(".pt2"):
                raise ValueError(f"`weights` ({one.weights}) is for a named backbone; {one.backbone} holds its own")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> Features:
        if self.resize is not None and self.fit != "crop":
            raise ValueError(f"`resize` is the short side before a centre crop; with fit: {self.fit} leave it out")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"`resize` ({self.resize}) is smaller than the crop `size` ({self.size})")
        return self
