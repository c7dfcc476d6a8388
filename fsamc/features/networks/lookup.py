"""Lookup of the sources that a configuration's backbones come from. Loads no torch."""

from __future__ import annotations

from fsamc.config.features import Features, Network
from fsamc.errors import BadInput
from fsamc.features.networks.efficientnet_lite import EFFICIENTNET_LITE, EfficientNetLite
from fsamc.features.networks.exported_program import ExportedProgram
from fsamc.features.networks.several_networks import SeveralNetworks
from fsamc.features.networks.source import NetworkSource
from fsamc.features.networks.timm_network import TIMM, TimmNetwork
from fsamc.features.networks.torchvision_resnet import RESNETS, TorchvisionResnet

AUTO = "auto"  # whichever of two networks can be had, until the driver has resolved it


def network_source(features: Features) -> NetworkSource:
    """Return where the networks that `features.backbone` names come from. Raises BadInput if nothing has that name."""
    first, *others = map(source_of, features.networks)
    return SeveralNetworks((first, *others)) if others else first


def source_of(network: Network) -> NetworkSource:
    """Return where one network comes from. Raises BadInput if nothing has that name."""
    name = network.backbone
    if is_program(network):
        return ExportedProgram(network)
    if name == EFFICIENTNET_LITE:
        return EfficientNetLite(network)
    if name.startswith(TIMM):
        return TimmNetwork(network)
    if name in RESNETS:
        return TorchvisionResnet(network)
    names = f"{TIMM}NAME, {EFFICIENTNET_LITE}, or one of {', '.join(RESNETS)}"
    raise BadInput(f"backbone {name!r}: expected a .pt2 file, {names}")


def is_program(network: Network) -> bool:
    """Whether the backbone is a torch.export program, and not a name."""
    return network.backbone.endswith(".pt2")
