"""Lookup of the source that a configuration's backbone comes from. Loads no torch."""

from __future__ import annotations

from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features.networks.efficientnet_lite import EFFICIENTNET_LITE, EfficientNetLite
from fsamc.features.networks.exported_program import ExportedProgram
from fsamc.features.networks.source import NetworkSource
from fsamc.features.networks.timm_network import TIMM, TimmNetwork
from fsamc.features.networks.torchvision_resnet import RESNETS, TorchvisionResnet

AUTO = "auto"  # whichever of two networks can be had, until the driver has resolved it


def network_source(features: Features) -> NetworkSource:
    """Return where the network that `features.backbone` names comes from. Raises BadInput if nothing has that name."""
    name = features.backbone
    if is_program(features):
        return ExportedProgram(features)
    if name == EFFICIENTNET_LITE:
        return EfficientNetLite(features)
    if name.startswith(TIMM):
        return TimmNetwork(features)
    if name in RESNETS:
        return TorchvisionResnet(features)
    names = f"{TIMM}NAME, {EFFICIENTNET_LITE}, or one of {', '.join(RESNETS)}"
    raise BadInput(f"backbone {name!r}: expected a .pt2 file, {names}")


def is_program(features: Features) -> bool:
    """Whether the backbone is a torch.export program, and not a name."""
    return features.backbone.endswith(".pt2")
