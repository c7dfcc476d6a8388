"""Automatic settings of features, resolved once: which network can be had, and in which arithmetic it runs."""

from __future__ import annotations

from fsamc.config.dotted import updated
from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features.networks.efficientnet_lite import EFFICIENTNET_LITE
from fsamc.features.networks.lookup import AUTO


def resolved_precision(features: Features, device: str) -> Features:
    """Return the features with a `precision` other than `auto`: bfloat16 on a GPU, else float32."""
    if features.precision != "auto":
        return features
    return updated(features, {"precision": "bf16" if device == "cuda" else "fp32"})


def resolved_backbone(features: Features) -> tuple[Features, list[str]]:
    """Return the features with a `backbone` other than `auto`, and a line where its first choice cannot be had.

    That is the ResNet, else EfficientNet-Lite, whose ImageNet weights are installed with this package.

    Raises:
        BadInput: `weights` are given, and are not the ResNet's.
    """
    if features.backbone != AUTO:
        return features, []
    from fsamc.features.backbone import load_backbone  # torch takes seconds, and a misspelt plan should be told at once

    first = updated(features, {"backbone": "resnet50"})
    try:
        load_backbone(first, "cpu")
    except BadInput as error:
        if features.weights is not None:
            raise
        return updated(features, {"backbone": EFFICIENTNET_LITE}), [f"{error}; going on with {EFFICIENTNET_LITE}"]
    return first, []
