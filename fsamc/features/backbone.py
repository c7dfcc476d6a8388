"""A frozen network: square images to feature maps (paper 3.2)."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features.program import checked_program
from fsamc.features.weights import identity, is_program, is_random, read_checked
from fsamc.seeds import torch_generator

_RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2")


class Backbone:
    """Feature maps of normalised images, finest first. Build it with `load_backbone`.

    Attributes:
        patches: P, patches of an image: the positions of the finest map.
    """

    def __init__(self, network: Callable[[Tensor], Sequence[Tensor]], features: Features, device: str) -> None:
        self._network = network
        self._device = torch.device(device)
        self._low = features.precision == "bf16"
        self.patches = 0

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> list[Tensor]:
        """Turn images float32 [B, 3, S, S] into float32 maps [B, C, H, W], one per layer, on the backbone's device."""
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._low):
            maps = self._network(images.to(self._device))
        return [one.float() for one in maps]


def load_backbone(features: Features, device: str) -> Backbone:
    """Load the network that `features.backbone` names, checked on blank images. The last one is kept.

    Raises:
        BadInput: unknown name, missing or unusable file, weights that cannot be had, or outputs that are no maps.
    """
    return _loaded(features, device, identity(features))


@lru_cache(maxsize=1)
def _loaded(features: Features, device: str, _content: str) -> Backbone:
    program = is_program(features)
    network = _load_program(features, device) if program else _load_resnet_maps(features, device)
    backbone = Backbone(network, features, device)
    _check_maps(backbone, features)
    return backbone


def _load_program(features: Features, device: str) -> Callable[[Tensor], Sequence[Tensor]]:
    path = features.backbone
    content = read_checked(path)
    try:
        with _silent("torch.export"):
            module = torch.export.load(checked_program(content)).module().to(device)
    except Exception as error:  # torch raises a different type for every way in which a file can be wrong
        raise BadInput(f"{path}: not a torch.export program ({_brief(error)}); export it again") from error

    def network(images: Tensor) -> Sequence[Tensor]:
        return _pick(module(images), features, path)

    return network


def _pick(output: object, features: Features, path: str) -> list[Tensor]:
    """Return the program's outputs that `features.layers` names, finest first."""
    if isinstance(output, dict):
        named = dict(output)
    elif isinstance(output, (tuple, list)):
        names = features.layers if len(output) == len(features.layers) else map(str, range(len(output)))
        named = dict(zip(names, output, strict=True))
    else:
        named = {"0": output}
    missing = [name for name in features.layers if name not in named]
    if missing:
        raise BadInput(
            f"{path}: returns {', '.join(named)}, but features.layers asks for {', '.join(missing)}; "
            "export a program with these outputs or name two of its outputs in features.layers"
        )
    return [named[name] for name in features.layers]


def load_resnet(features: Features) -> nn.Module:
    """Load the whole ResNet that `features.backbone` names, on the CPU, in evaluation mode, anew with each call.

    Raises:
        BadInput: unknown name, or weights that cannot be had.
    """
    from torchvision.models import get_model

    if features.backbone not in _RESNETS:
        raise BadInput(f"backbone {features.backbone!r}: expected a .pt2 file or one of {', '.join(_RESNETS)}")
    network: nn.Module = get_model(features.backbone, weights=None)
    if is_random(features):
        _randomise(network)
    else:
        _load_weights(network, features)
    return network.eval()


def _load_resnet_maps(features: Features, device: str) -> nn.Module:
    from torchvision.models.feature_extraction import create_feature_extractor

    network = load_resnet(features)
    try:
        extractor = create_feature_extractor(network, {name: name for name in features.layers})
    except ValueError as error:
        raise BadInput(f"features.layers {list(features.layers)}: not layers of {features.backbone}") from error
    return _InOrder(extractor, features.layers).to(device).eval()


class _InOrder(nn.Module):
    def __init__(self, extractor: nn.Module, layers: tuple[str, ...]) -> None:
        super().__init__()
        self.extractor, self.layers = extractor, layers

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = self.extractor(images)
        return [maps[name] for name in self.layers]


def _load_weights(network: nn.Module, features: Features) -> None:
    state = _pretrained(features.backbone) if features.weights is None else _state_from(features.weights)
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise BadInput(
            f"{features.weights}: not the weights of a {features.backbone} ({_brief(error)}); give its state dict"
        ) from error


def _pretrained(name: str) -> dict[str, Tensor]:
    """Return ImageNet weights by torchvision: from its cache, else from the network."""
    from torchvision.models import get_model_weights

    weights = get_model_weights(name)["IMAGENET1K_V1"]
    file = weights.url.rsplit("/", 1)[-1]
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except Exception as error:  # the network, and a torn file in the cache, raise many types
        raise BadInput(
            f"the ImageNet weights of {name} are neither cached nor reachable ({_brief(error)}): place {file} "
            f"in {Path(torch.hub.get_dir()) / 'checkpoints'}, or give --weights FILE, or --backbone FILE.pt2"
        ) from error


def _state_from(path: str) -> dict[str, Tensor]:
    content = read_checked(path)
    try:
        if path.endswith(".safetensors"):
            from safetensors.torch import load

            return load(content)
        state: dict[str, Tensor] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # both loaders raise many types
        if isinstance(error, UnpicklingError):  # torch's own text advises to let it run
            raise BadInput(_what_pickle(path, str(error))) from error
        raise BadInput(f"{path}: not a state dict ({_brief(error)}); expected .pth or .safetensors") from error
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        raise BadInput(f"{path}: not a state dict (no tensors by name); save the network's state_dict()")
    return state


def _what_pickle(path: str, text: str) -> str:
    if "unsupported global" in text.lower():
        return (
            f"{path}: holds more than tensors, which may run anything; save the network's state_dict() alone, or a "
            ".safetensors file"
        )
    return f"{path}: not a state dict (no file of torch.save); expected .pth or .safetensors"


def _randomise(network: nn.Module) -> None:
    """Set weights of a fixed seed, scaled so that activations keep their size through the depth."""
    from torchvision.models.resnet import BasicBlock, Bottleneck

    generator = torch_generator(0, "random backbone")
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
        elif isinstance(module, (BasicBlock, Bottleneck)):  # adds to its input: unscaled, 47 of them exceed float16
            nn.init.constant_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight, 0.2)


def _check_maps(backbone: Backbone, features: Features) -> None:
    """Try one blank image and, as a program may have been exported for just one, two."""
    blank = torch.zeros(min(2, features.batch), 3, features.size, features.size)
    try:
        backbone(blank[:1])
        maps = backbone(blank)
    except BadInput:
        raise
    except (AssertionError, RuntimeError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{features.backbone}: cannot take 1 to {features.batch} images of {features.size} x {features.size} "
            f"({_brief(error)}); set features.size and features.batch to what it was exported for"
        ) from error
    shapes = [tuple(one.shape) for one in maps]
    if any(len(shape) != 4 or shape[0] != len(blank) for shape in shapes):
        raise BadInput(f"{features.backbone}: layers {list(features.layers)} are {shapes}, expected maps [B, C, H, W]")
    if any(shape[2] * shape[3] > shapes[0][2] * shapes[0][3] for shape in shapes):
        raise BadInput(f"features.layers {list(features.layers)}: the first must be the finest, found {shapes}")
    backbone.patches = shapes[0][2] * shapes[0][3]


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger from telling what is raised anyway."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(before)


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
