"""Settings of the heads, a class per kind: all that there is to know of a head without loading torch.

A head is added by a class here and its name in `AnyHead`, and by the file that its `network` names.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from fsamc.config.settings import LearningRate, Settings, Share

Sees = Literal["vectors", "maps", "images"]


class HeadSettings(Settings):
    """Base of every head's settings.

    Attributes:
        network: `module:class` of the head.
        trained: whether it learns from pseudo-defects and from the support.
        means: whether the mean of its images stands for a class, so that unlabelled ones can move it.
    """

    network: ClassVar[str]
    trained: ClassVar[bool] = True
    means: ClassVar[bool] = True

    kind: str

    @property
    def sees(self) -> Sees:
        """What of an image: one vector a view, the map of all patches, or the image, where there is no bank."""
        return "vectors"


class PoolSettings(HeadSettings):
    """Base for heads that see the vectors of an image's most anomalous patches, or all patches."""

    pool: Literal["anomalous", "flatten"] = Field(
        "anomalous", description="the vectors of the most anomalous patches, or all patches in their places"
    )
    embedding: int = Field(
        128, ge=1, description="length of an embedding with `pool: flatten`; of vanilla, of the layer before last"
    )

    @property
    def sees(self) -> Sees:
        """Vectors or maps, as `pool` says."""
        return "maps" if self.pool == "flatten" else "vectors"


class EncoderSettings(PoolSettings):
    """Base for heads with the encoder (paper 3.6, figure 5)."""

    hidden: tuple[int, int] = Field((256, 128), description="channels of the two 1x1 convolutions")


class CentredSettings(HeadSettings):
    """Base for heads that compare by cosine."""

    centre: Share = Field(
        0.95, description="how far from the origin to the mean of the support lies the point that cosines are about"
    )


class FittedSettings(HeadSettings):
    """Base for heads that are fitted to all images of the support, and pretrained on nothing."""

    trained: ClassVar[bool] = False
    means: ClassVar[bool] = False


class CosineSettings(CentredSettings, EncoderSettings):
    """Base for heads that compare embeddings by cosine."""

    temperature: float = Field(0.07, gt=0.0, description="divides the dot products")


class ContrastiveSettings(CosineSettings):
    """The contrastive classifier (paper 3.6, figure 5, eq. 3)."""

    network: ClassVar[str] = "fsamc.heads.contrastive:ContrastiveHead"
    kind: Literal["contrastive"] = "contrastive"


class AdapterSettings(CentredSettings, FittedSettings):
    """The prototype after a linear map that is fitted to the support (after MVREC's Zip-Adapter-F, AAAI 2025)."""

    network: ClassVar[str] = "fsamc.heads.fitted.adapter:AdapterHead"
    kind: Literal["adapter"] = "adapter"
    epochs: int = Field(30, ge=0, description="passes over the support, a step of Adam each; none at one shot")
    lr: LearningRate = Field(1e-3, description="Adam's learning rate")
    temperature: float = Field(0.1, gt=0.0, description="divides the cosines in the loss")


class CacheSettings(CentredSettings, FittedSettings):
    """Votes of all support images (Tip-Adapter and, with `epochs`, Tip-Adapter-F, Zhang et al. 2022)."""

    network: ClassVar[str] = "fsamc.heads.fitted.cache:CacheHead"
    kind: Literal["cache"] = "cache"
    sharpness: float = Field(10.0, gt=0.0, description="how fast a vote falls with the cosine")
    epochs: int = Field(0, ge=0, description="passes over the support that fine-tune the keys; 0: training-free")
    lr: LearningRate = Field(1e-3, description="AdamW's learning rate, with `epochs`")


class CrossAttentionSettings(HeadSettings):
    """Attention between the maps of a class and of a query (Hou et al. 2019)."""

    network: ClassVar[str] = "fsamc.heads.relatives.cross_attention:CrossAttentionHead"
    kind: Literal["cross_attention"] = "cross_attention"
    grid: int = Field(7, ge=2, description="side of the grid that maps are averaged over; at most the map's own")
    reduction: int = Field(6, ge=1, description="places of that grid for each unit of the layer that makes the kernel")
    attention: float = Field(0.025, gt=0.0, description="temperature of the attention of places")
    temperature: float = Field(0.07, gt=0.0, description="divides the cosines")

    @property
    def sees(self) -> Sees:
        """Maps."""
        return "maps"


class DirectSettings(FittedSettings):
    """A whole classifier, fine-tuned on images (paper 4.3, table 10)."""

    network: ClassVar[str] = "fsamc.heads.direct:DirectClassifier"
    kind: Literal["direct"] = "direct"
    trainable: Literal["head", "all"] = Field("head", description="the new last layer, or the whole network")
    epochs: int = Field(100, ge=0, description="passes over the support, image by image")
    lr: LearningRate = Field(1e-5, description="Adam's learning rate")

    @property
    def sees(self) -> Sees:
        """Images."""
        return "images"


class DpgnSettings(CosineSettings):
    """Graphs of instances and of distributions (Yang et al. 2020)."""

    network: ClassVar[str] = "fsamc.heads.relatives.dpgn:DpgnHead"
    means: ClassVar[bool] = False
    kind: Literal["dpgn"] = "dpgn"
    generations: int = Field(2, ge=1, description="times that each of the two graphs is updated")


class LdaSettings(FittedSettings):
    """Linear discriminant analysis."""

    network: ClassVar[str] = "fsamc.heads.fitted.lda:LdaHead"
    kind: Literal["lda"] = "lda"
    shrinkage: float = Field(
        0.5, gt=0.0, le=1.0, description="share of the mean variance in the covariance within classes"
    )


class PenalisedSettings(FittedSettings):
    """Base for linear maps with a penalty."""

    penalty: float = Field(1.0, gt=0.0, description="L2 penalty on the weights, beside the mean loss of an image")


class LogisticSettings(PenalisedSettings):
    """Logistic regression on the support."""

    network: ClassVar[str] = "fsamc.heads.fitted.logistic:LogisticHead"
    kind: Literal["logistic"] = "logistic"


class MamlSettings(CosineSettings):
    """The contrastive classifier pretrained by MAML (paper, appendix G)."""

    network: ClassVar[str] = "fsamc.heads.maml:MamlHead"
    kind: Literal["maml"] = "maml"


class MatchingSettings(CosineSettings):
    """Matching networks (Vinyals et al. 2016)."""

    network: ClassVar[str] = "fsamc.heads.matchingnet:MatchingHead"
    means: ClassVar[bool] = False
    kind: Literal["matchingnet"] = "matchingnet"


class PrototypicalSettings(EncoderSettings):
    """Prototypical networks (Snell et al. 2017)."""

    network: ClassVar[str] = "fsamc.heads.protonet:PrototypicalHead"
    kind: Literal["protonet"] = "protonet"


class PrototypeSettings(CentredSettings):
    """The training-free head."""

    network: ClassVar[str] = "fsamc.heads.fitted.prototype:PrototypeHead"
    trained: ClassVar[bool] = False
    kind: Literal["prototype"] = "prototype"


class RidgeSettings(PenalisedSettings):
    """Ridge regression on the support."""

    network: ClassVar[str] = "fsamc.heads.fitted.ridge:RidgeHead"
    kind: Literal["ridge"] = "ridge"


class SiameseSettings(EncoderSettings):
    """Siamese networks (Koch et al. 2015)."""

    network: ClassVar[str] = "fsamc.heads.siamese:SiameseHead"
    means: ClassVar[bool] = False
    kind: Literal["siamese"] = "siamese"


class VanillaSettings(PoolSettings):
    """The relation network on pairs of residual maps (paper 3.3, figure 3)."""

    network: ClassVar[str] = "fsamc.heads.vanilla:VanillaHead"
    kind: Literal["vanilla"] = "vanilla"
    relation: tuple[int, int] = Field((512, 128), description="channels of the two 1x1 convolutions")


AnyHead = Annotated[
    AdapterSettings
    | CacheSettings
    | ContrastiveSettings
    | CrossAttentionSettings
    | DirectSettings
    | DpgnSettings
    | LdaSettings
    | LogisticSettings
    | MamlSettings
    | MatchingSettings
    | PrototypicalSettings
    | PrototypeSettings
    | RidgeSettings
    | SiameseSettings
    | VanillaSettings,
    Field(discriminator="kind"),
]
