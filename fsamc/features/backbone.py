"""A frozen network: square images to feature maps (paper 3.2)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fsamc.config.features import Features
from fsamc.data.images import to_tensor
from fsamc.data.preprocessing import Preprocessing
from fsamc.errors import BadInput
from fsamc.features.networks.lookup import network_source
from fsamc.features.networks.source import Maps
from fsamc.features.networks.weights_file import brief


class Backbone:
    """Feature maps of images, finest first. Build it with `load_backbone`.

    Attributes:
        preprocessing: how images become the network's input.
        patches: P, patches of an image: the positions of the finest map.
    """

    def __init__(self, maps: Maps, preprocessing: Preprocessing, features: Features, device: str) -> None:
        self._maps = maps
        self._device = torch.device(device)
        self._low = features.precision == "bf16"
        # Matrix units are fed channel by channel; in float32 another layout would change the last bits of old features.
        self._layout = torch.channels_last if self._low else torch.preserve_format
        self.preprocessing = preprocessing
        self.patches = 0

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[Tensor]:
        """Turn images float32 [B, 3, S, S], normalised, into float32 maps [B, C, H, W] on the device, a map a layer."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._low):
            maps = self._maps(images.to(self._device, memory_format=self._layout))
        return [one.float() for one in maps]

    def of_squares(self, squares: np.ndarray) -> list[Tensor]:
        """Turn images uint8 [B, S, S, 3] into maps, normalised as the weights want it."""
        return self(to_tensor(squares, self.preprocessing))


def load_backbone(features: Features, device: str) -> Backbone:
    """Load the network that `features.backbone` names, checked on blank images. The last one is kept.

    Raises:
        BadInput: unknown name, missing or unusable file, weights that cannot be had, or outputs that are no maps.
    """
    return _loaded(features, device, network_source(features).identity)


@lru_cache(maxsize=1)
def _loaded(features: Features, device: str, _content: str) -> Backbone:
    source = network_source(features)
    backbone = Backbone(source.load(device), source.preprocessing, features, device)
    _check_maps(backbone, features)
    return backbone


def _check_maps(backbone: Backbone, features: Features) -> None:
    """Try one blank image and, as a program may have been exported for just one, two."""
    blank = torch.zeros(min(2, features.batch), 3, features.size, features.size)
    try:
        backbone(blank[:1])
        maps = backbone(blank)
    except BadInput:
        raise
    except (AssertionError, RuntimeError, TypeError, AttributeError, IndexError) as error:
        raise BadInput(
            f"{features.title}: cannot take 1 to {features.batch} images of {features.size} x {features.size} "
            f"({brief(error)}); set features.size and features.batch to what it was exported for"
        ) from error
    shapes, layers = [tuple(one.shape) for one in maps], [name for one in features.networks for name in one.layers]
    if any(len(shape) != 4 or shape[0] != len(blank) for shape in shapes):
        raise BadInput(f"{features.title}: layers {layers} are {shapes}, expected maps [B, C, H, W]")
    if any(shape[2] * shape[3] > shapes[0][2] * shapes[0][3] for shape in shapes):
        finest = f"the first must be the finest, found {shapes}"
        first = "" if len(features.networks) == 1 else "; name the backbone with the finest maps first"
        raise BadInput(f"features.layers {layers}: {finest}{first}")
    backbone.patches = shapes[0][2] * shapes[0][3]
