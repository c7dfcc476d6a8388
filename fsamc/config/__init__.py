"""Every knob, validated: one fold's in `fold`, a sweep's in `plan`. Configuration lives here and in the presets."""

from fsamc.config.fold import (
    Compute,
    Features,
    Finetune,
    FoldConfig,
    Foreground,
    HeadSettings,
    Pretrain,
    Pseudo,
    Reference,
    Segmentation,
    Settings,
    Support,
)
from fsamc.config.plan import Distribution, Folds, Plan, Resources, Search

__all__ = [
    "Compute",
    "Distribution",
    "Features",
    "Finetune",
    "FoldConfig",
    "Folds",
    "Foreground",
    "HeadSettings",
    "Plan",
    "Pretrain",
    "Pseudo",
    "Reference",
    "Resources",
    "Search",
    "Segmentation",
    "Settings",
    "Support",
]
