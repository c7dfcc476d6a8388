"""Every knob, validated: a fold's in `fold` and those beside it, a sweep's in `plan`. All configuration is here."""

from fsamc.config.fold import Compute, Features, FoldConfig, Support
from fsamc.config.learning import Direct, Finetune, HeadSettings, Maml, Pretrain
from fsamc.config.objective import Objective
from fsamc.config.plan import Distribution, Folds, Plan, Resources, Search, Stopping
from fsamc.config.pseudo import Foreground, Perlin, Polygon, Pseudo, Segmentation
from fsamc.config.reference import Detection, Reference
from fsamc.config.scoring import Scoring
from fsamc.config.settings import Settings

__all__ = [
    "Compute",
    "Detection",
    "Direct",
    "Distribution",
    "Features",
    "Finetune",
    "FoldConfig",
    "Folds",
    "Foreground",
    "HeadSettings",
    "Maml",
    "Objective",
    "Perlin",
    "Plan",
    "Polygon",
    "Pretrain",
    "Pseudo",
    "Reference",
    "Resources",
    "Scoring",
    "Search",
    "Segmentation",
    "Settings",
    "Stopping",
    "Support",
]
