"""Settings of the detectors (paper 3.2, 3.4, 5)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fsamc.config.settings import Settings


class Reference(Settings):
    """What would be normal here: whose reference features are subtracted."""

    kind: Literal["patchcore", "padim", "spade", "cpr"] = Field(
        "patchcore",
        description="nearest row of a coreset, mean at the same place, or nearest patch of the most similar images",
    )
    ratio: float = Field(0.1, gt=0.0, le=1.0, description="patchcore: share of the good patches kept in the bank")
    projection: int = Field(
        128, ge=1, description="patchcore: channels of the random projection the coreset is chosen in"
    )
    starts: int = Field(10, ge=1, description="patchcore: random points whose mean distance starts the coreset")
    channels: int = Field(100, ge=1, description="padim: channels, drawn at random, that its Gaussians are over")
    ridge: float = Field(0.01, gt=0.0, description="padim: added to the diagonal of its covariances")
    images: int = Field(10, ge=1, description="spade, cpr: how many good images most like the query are looked at")
    words: int = Field(12, ge=2, description="cpr: kinds of patches that the histograms of an image count")
    blocks: int = Field(4, ge=1, description="cpr: an image has this many histograms along each side")
    window: int = Field(1, ge=0, description="cpr: how many grid steps a patch may lie from the query's place")
    scale: Literal["bank", "none"] = Field(
        "bank", description="`bank`: heads see each channel in units of its standard deviation among normal patches"
    )
