"""Base class of all settings, and the checked types that they share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Frozen, and strict about unknown keys, so that a misspelt knob is an error and not a silence."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the lower bound {pair[0]} is above the upper bound {pair[1]}")
    return pair


Share = Annotated[float, Field(ge=0.0, le=1.0)]
ShareRange = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
GreyLevels = Annotated[int, Field(ge=0, le=255)]
LearningRate = Annotated[float, Field(gt=0.0, le=1.0)]
