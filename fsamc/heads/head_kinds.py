"""Settings of the heads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fsamc.config.settings import LearningRate, Settings
from fsamc.heads import HEADS


class Direct(Settings):
    """Fine-tuning a whole classifier on images (paper 4.3, table 10)."""

    trainable: Literal["head", "all"] = Field("head", description="direct: the new last layer, or the whole network")
    epochs: int = Field(100, ge=0, description="direct: passes over the support, image by image")
    lr: LearningRate = Field(1e-5, description="direct: Adam's learning rate")


class HeadSettings(Settings):
    """What turns residual maps into a class."""

    kind: str = Field(
        "contrastive",
        description=f"one of {', '.join(sorted(HEADS))}",
        json_schema_extra=lambda schema: schema.update(enum=[*sorted(HEADS)]),
    )
    temperature: float = Field(0.07, gt=0.0, description="contrastive, maml, matchingnet: divides the dot products")
    patches: int = Field(40, ge=1, description="how many of an image's most anomalous patches are averaged")
    weights: Literal["excess", "uniform"] = Field(
        "excess", description="an anomalous patch counts by its distance beyond the first one left out, or as any other"
    )
    pool: Literal["anomalous", "flatten"] = Field(
        "anomalous",
        description="one vector from the most anomalous patches and their own mean, or from all in their places",
    )
    hidden: tuple[int, int] = Field((256, 128), description="encoders: channels of the two 1x1 convolutions")
    relation: tuple[int, int] = Field((512, 128), description="vanilla: channels of the two 1x1 convolutions")
    embedding: int = Field(128, ge=1, description="flatten: length of an embedding; vanilla: of the layer before last")
    direct: Direct = Direct()

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in HEADS:
            raise ValueError(f"unknown head {kind!r}, expected one of {', '.join(sorted(HEADS))}")
        return kind
