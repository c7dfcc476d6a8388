"""torchvision's ResNets: ImageNet weights by torchvision, or a state dict."""

from __future__ import annotations

from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import Request, urlopen

from fsamc import deadline
from fsamc.config.features import RANDOM, Network
from fsamc.data.preprocessing import IMAGENET, Preprocessing
from fsamc.deadline import within
from fsamc.errors import BadInput, did_you_mean
from fsamc.features.networks.source import Maps
from fsamc.features.networks.weights_file import brief, check_file

if TYPE_CHECKING:
    from torch import Tensor, nn

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "wide_resnet101_2")
_PRETRAINED = "IMAGENET1K_V1"
_PATIENCE = 10  # seconds until an address counts as unreachable


@dataclass(frozen=True)
class TorchvisionResnet:
    """The ResNet that `features.backbone` names; `features.layers` are torchvision's names of its modules."""

    network: Network

    @property
    def identity(self) -> str:
        """Name and weights."""
        weights = self.network.weights or _PRETRAINED
        return f"torchvision:{self.network.backbone}:{weights if self._is_named else check_file(weights)}"

    @property
    def file(self) -> str:
        """The state dict, or the name."""
        return self.network.weights or self.network.backbone

    @property
    def origin(self) -> str:
        """Torchvision's weights are under its own licence."""
        if self._is_named:
            return RANDOM if self.network.weights == RANDOM else f"{_PRETRAINED} of torchvision, BSD-3-Clause"
        return f"{self.network.weights}, with its licence"

    @property
    def preprocessing(self) -> Preprocessing:
        """That of the weights by torchvision."""
        return IMAGENET

    def load(self, device: str) -> Maps:
        """Load the ResNet down to its last layer that is asked for. Raises BadInput."""
        from torchvision.models.feature_extraction import create_feature_extractor

        layers = self.network.layers
        network = load_resnet(self.network)
        try:
            extractor = create_feature_extractor(network, {name: name for name in layers}).to(device).eval()
        except ValueError as error:
            raise BadInput(f"features.layers {list(layers)}: not layers of {self.network.backbone}") from error

        def maps(images: Tensor) -> list[Tensor]:
            outputs = extractor(images)
            return [outputs[name] for name in layers]

        return maps

    @property
    def _is_named(self) -> bool:
        return self.network.weights in (None, RANDOM)


def load_resnet(named: Network) -> nn.Module:
    """Load the whole ResNet that a network names, on the CPU, in evaluation mode, anew with each call.

    Raises:
        BadInput: not the name of a ResNet, or weights that cannot be had.
    """
    from torchvision.models import get_model

    from fsamc.features.networks.state_dict import not_its_weights, read_state_dict

    if named.backbone not in RESNETS:
        meant = did_you_mean(named.backbone, RESNETS)
        raise BadInput(f"backbone {named.backbone!r}: expected one of torchvision's {', '.join(RESNETS)}{meant}")
    network: nn.Module = get_model(named.backbone, weights=None)
    if named.weights == RANDOM:
        _randomise(network)
        return network.eval()
    state = _pretrained(named.backbone) if named.weights is None else read_state_dict(named.weights)
    try:
        network.load_state_dict(state)
    except (RuntimeError, TypeError) as error:
        raise not_its_weights(named.weights, named.backbone, error) from error
    return network.eval()


def pretrained_url(name: str) -> str:
    """Return the address of a ResNet's ImageNet weights."""
    from torchvision.models import get_model_weights

    url: str = get_model_weights(name)[_PRETRAINED].url
    return url


def why_unreachable(url: str) -> str | None:
    """Say why the network does not have it; None if it does. A firewall that does not answer costs ten seconds."""
    try:
        within(_PATIENCE, lambda: urlopen(Request(url, method="HEAD"), timeout=_PATIENCE), url).close()
    except (OSError, HTTPException, ValueError) as error:
        return brief(error)[:150]
    return None


def _pretrained(name: str) -> dict[str, Tensor]:
    """Return ImageNet weights by torchvision: from its cache, else from the network."""
    import torch
    from torchvision.models import get_model_weights

    url = pretrained_url(name)
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    reason = None if cached.is_file() else why_unreachable(url)
    try:
        if reason is None:
            weights = get_model_weights(name)[_PRETRAINED]
            return within(deadline.DOWNLOAD, lambda: weights.get_state_dict(progress=True, check_hash=True), url)
    except Exception as error:  # the network, and a torn file in the cache, raise many types
        reason = brief(error)
    raise BadInput(
        f"the ImageNet weights of {name} are neither cached nor reachable ({reason}): place {cached.name} in "
        f"{cached.parent}, or give --weights FILE, --backbone FILE.pt2 or --backbone auto"
    )


def _randomise(network: nn.Module) -> None:
    from torch import nn
    from torchvision.models.resnet import BasicBlock, Bottleneck

    from fsamc.features.networks.state_dict import randomise

    randomise(network)
    for module in network.modules():
        if isinstance(module, (BasicBlock, Bottleneck)):  # adds to its input: unscaled, 47 of them exceed float16
            nn.init.constant_((module.bn3 if isinstance(module, Bottleneck) else module.bn2).weight, 0.2)
