"""Kinds of heads and detectors, found in the configuration, and what is made of them."""

from __future__ import annotations

from typing import Any

import torch

from fsamc.config.kinds import kinds_of
from fsamc.fold.config import FoldConfig
from fsamc.heads import base
from fsamc.heads.base import Head

QUICK = {"steps": 3, "batch": 40, "embedding": 8}  # of what learns for long by default
HEADS, DETECTORS = (kinds_of(FoldConfig.model_fields[name]) for name in ("head", "reference"))


def settings_of(kinds: dict[str, Any], kind: str, **values: Any) -> Any:
    """The settings of a kind with those of the values that it has."""
    return kinds[kind](**{name: value for name, value in values.items() if name in kinds[kind].model_fields})


def make_head(kind: str, *, shape: tuple[int, int, int], seed: int = 0, **values: Any) -> Head:
    generator = torch.Generator().manual_seed(seed)
    return base.make_head(settings_of(HEADS, kind, **values), shape=shape, generator=generator)


def changes_to(field: str, kind: str, **values: Any) -> dict[str, Any]:
    """Dotted keys that make a configuration's head or reference of a kind, with those of the values that it has."""
    values = {**QUICK, **values}
    names = kinds_of(FoldConfig.model_fields[field])[kind].model_fields
    return {f"{field}.kind": kind} | {f"{field}.{name}": value for name, value in values.items() if name in names}
