"""Settings of the heads, a class per kind: all that there is to know of a head without loading torch.

A head is added by a class here and its name in `AnyHead`, and by the file that its `network` names.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fsamc.config.settings import LearningRate, Settings


class HeadSettings(Settings):
    """Base of every head's settings.

    Attributes:
        network: `module:class` of the head.
        trained: whether it learns from pseudo-defects and from the support.
        sees: `images`, where there is no bank and nothing to pretrain on; else `maps`.
    """

    network: ClassVar[str]
    trained: ClassVar[bool] = True
    sees: ClassVar[Literal["maps", "images"]] = "maps"

    kind: str


class AnomalousSettings(HeadSettings):
    """Base for heads that look at an image's most anomalous patches."""

    patches: int = Field(40, ge=1, description="how many of an image's most anomalous patches are averaged")
    weights: Literal["excess", "uniform"] = Field(
        "excess", description="an anomalous patch counts by its distance beyond the first one left out, or as any other"
    )


class PoolSettings(AnomalousSettings):
    """Base for heads that make one vector of an image's patches, of the most anomalous or of all."""

    pool: Literal["anomalous", "flatten"] = Field(
        "anomalous",
        description="one vector from the most anomalous patches and their own mean, or from all in their places",
    )
    embedding: int = Field(
        128, ge=1, description="length of an embedding with `pool: flatten`; of vanilla, of the layer before last"
    )


class EncoderSettings(PoolSettings):
    """Base for heads with the encoder (paper 3.6, figure 5)."""

    hidden: tuple[int, int] = Field((256, 128), description="channels of the two 1x1 convolutions")


class CosineSettings(EncoderSettings):
    """Base for heads that compare embeddings by cosine."""

    temperature: float = Field(0.07, gt=0.0, description="divides the dot products")


class ContrastiveSettings(CosineSettings):
    """The contrastive classifier (paper 3.6, figure 5, eq. 3)."""

    network: ClassVar[str] = "fsamc.heads.contrastive:ContrastiveHead"
    kind: Literal["contrastive"] = "contrastive"


class DirectSettings(HeadSettings):
    """A whole classifier, fine-tuned on images (paper 4.3, table 10)."""

    network: ClassVar[str] = "fsamc.heads.direct:DirectClassifier"
    trained: ClassVar[bool] = False
    sees: ClassVar[Literal["maps", "images"]] = "images"
    kind: Literal["direct"] = "direct"
    trainable: Literal["head", "all"] = Field("head", description="the new last layer, or the whole network")
    epochs: int = Field(100, ge=0, description="passes over the support, image by image")
    lr: LearningRate = Field(1e-5, description="Adam's learning rate")


class MamlSettings(CosineSettings):
    """The contrastive classifier pretrained by MAML (paper, appendix G)."""

    network: ClassVar[str] = "fsamc.heads.maml:MamlHead"
    kind: Literal["maml"] = "maml"


class MatchingSettings(CosineSettings):
    """Matching networks (Vinyals et al. 2016)."""

    network: ClassVar[str] = "fsamc.heads.matchingnet:MatchingHead"
    kind: Literal["matchingnet"] = "matchingnet"


class PrototypicalSettings(EncoderSettings):
    """Prototypical networks (Snell et al. 2017)."""

    network: ClassVar[str] = "fsamc.heads.protonet:PrototypicalHead"
    kind: Literal["protonet"] = "protonet"


class PrototypeSettings(AnomalousSettings):
    """The training-free head."""

    network: ClassVar[str] = "fsamc.heads.prototype:PrototypeHead"
    trained: ClassVar[bool] = False
    kind: Literal["prototype"] = "prototype"


class SiameseSettings(EncoderSettings):
    """Siamese networks (Koch et al. 2015)."""

    network: ClassVar[str] = "fsamc.heads.siamese:SiameseHead"
    kind: Literal["siamese"] = "siamese"


class VanillaSettings(PoolSettings):
    """The relation network on pairs of residual maps (paper 3.3, figure 3)."""

    network: ClassVar[str] = "fsamc.heads.vanilla:VanillaHead"
    kind: Literal["vanilla"] = "vanilla"
    relation: tuple[int, int] = Field((512, 128), description="channels of the two 1x1 convolutions")


AnyHead = Annotated[
    ContrastiveSettings
    | DirectSettings
    | MamlSettings
    | MatchingSettings
    | PrototypicalSettings
    | PrototypeSettings
    | SiameseSettings
    | VanillaSettings,
    Field(discriminator="kind"),
]
