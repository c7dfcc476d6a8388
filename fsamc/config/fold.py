"""Every knob of one fold: defaults, units and checks, one class per stage.

The defaults are the better way where it has been measured. The paper's own values are spelled out
by the presets named after it. A field's description is what `fsamc plan show` prints.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from fsamc.heads import HEADS


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
Foreground = Literal["auto", "flood", "grabcut", "whole"]


class Compute(Settings):
    """What the arithmetic runs on. It is part of every artifact's key: sums depend on it.

    A plan fills this in from `resources`; set it there.
    """

    device: Literal["cpu", "cuda"] = Field("cpu", description="where tensors live")
    threads: int = Field(1, ge=1, description="threads of one fold; sums change with their number")


class Features(Settings):
    """Image to patch features (paper 3.2)."""

    backbone: str = Field(
        "resnet50",
        description="a torchvision ResNet's name, a torch.export program (.pt2), or `auto`: "
        "resnet50, with random weights where ImageNet's cannot be had",
    )
    weights: str | None = Field(
        None, description="of a named ResNet: a .pth or .safetensors file, or `random`; none = ImageNet's"
    )
    layers: tuple[str, ...] = Field(("layer2", "layer3"), min_length=1, description="feature maps, finest first")
    dim: int = Field(1024, ge=1, description="channels of a patch feature")
    fit: Literal["squash", "crop", "letterbox"] = Field(
        "squash", description="how an image becomes square: resized straight, centre-cropped, or padded"
    )
    size: int = Field(224, ge=32, description="side of the network's input, pixels")
    resize: int | None = Field(None, ge=32, description="short side before a centre crop, pixels; none = size")
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="arithmetic of the backbone")
    batch: int = Field(8, ge=1, description="images per forward pass")

    @model_validator(mode="after")
    def _crop_fits(self) -> Features:
        if self.resize is not None and self.fit != "crop":
            raise ValueError(f"`resize` is the short side before a centre crop; with fit: {self.fit} leave it out")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"`resize` ({self.resize}) is smaller than the crop `size` ({self.size})")
        return self


class Reference(Settings):
    """What would be normal here: the memory bank (paper 3.2, PatchCore)."""

    kind: Literal["patchcore"] = Field("patchcore", description="detector whose reference is subtracted")
    ratio: float = Field(0.1, gt=0.0, le=1.0, description="share of the good patches kept in the bank")
    projection: int = Field(128, ge=1, description="channels of the random projection the coreset is chosen in")
    starts: int = Field(10, ge=1, description="random points whose mean distance starts the coreset")
    scale: Literal["bank", "none"] = Field(
        "bank", description="`bank`: heads see each channel in units of its standard deviation over the bank's rows"
    )


class Support(Settings):
    """Which images are the support, and how n of them become one."""

    shots_from: Literal["first", "files"] = Field(
        "first", description="`first`: draw 0 is the first n images, draw d >= 1 a seeded choice; `files`: a list"
    )
    files: tuple[str, ...] = Field((), description="with `files`: CATEGORY/test/CLASS/IMAGE, n of each class")
    mean: Literal["image", "residual", "embedding"] = Field(
        "embedding", description="what is averaged over a class's support: pixels, residual maps or embeddings"
    )

    @model_validator(mode="after")
    def _files_where_asked(self) -> Support:
        if (self.shots_from == "files") != bool(self.files):
            raise ValueError("`shots_from: files` and the list `files` go together; one of them is missing")
        return self


class Segmentation(Settings):
    """How an object is told from its background, and what `foreground: auto` takes for an object."""

    flood: tuple[GreyLevels, GreyLevels] = Field(
        (80, 50), description="flood: how much darker and how much brighter than a corner the background may be"
    )
    grabcut: int = Field(10, ge=1, description="grabcut: iterations")
    part: Share = Field(0.1, description="parts and holes smaller than this share of the largest part are tidied away")
    area: ShareRange = Field((0.03, 0.9), description="share of the image an object covers; else none was found")
    edge: float = Field(2.5, ge=0.0, description="auto: gradient on an object's outline, in means of the image's")
    sample: int = Field(8, ge=1, description="auto: how many of the good images are looked at")
    agree: Share = Field(0.75, description="auto: share of the images in which a method must find an object")


class Pseudo(Settings):
    """Pseudo-defects: textures pasted on good images (paper 3.5)."""

    mask: Literal["poisson"] = Field("poisson", description="shape of the pasted region")
    foreground: Foreground | dict[str, Foreground] = Field(
        "auto", description="where the object is: one way for all, or one per category"
    )
    segmentation: Segmentation = Segmentation()
    beta: ShareRange = Field((0.0, 0.5), description="share of the image kept inside the mask, drawn uniformly")
    per_class: int = Field(20, ge=2, description="pseudo-defect images per pseudo-class")
    textures_per_class: int = Field(1, ge=1, description="texture images used of each texture class")
    rate: float = Field(8.0, gt=0.0, description="Poisson noise: mean count per pixel")
    blur: float = Field(0.05, ge=0.0, le=1.0, description="Gaussian blur of the noise, sigma as a share of the side")
    threshold: float = Field(0.7, description="cut of the blurred noise, standard deviations above its mean")
    area: ShareRange = Field((0.1, 0.4), description="share of the foreground the mask may cover; redrawn until so")
    tries: int = Field(100, ge=1, description="masks drawn for one image at most")
    residual: Literal["source", "bank"] = Field(
        "source", description="what is subtracted: the clean source image's features or the nearest bank rows"
    )


class Pretrain(Settings):
    """Pretraining of a head on pseudo-classes (paper 3.5, 4.1.3)."""

    enabled: bool = Field(True, description="pretrain on pseudo-defects")
    pseudo_classes: int = Field(10, ge=2, description="pseudo-classes drawn in each round")
    stop_threshold: Share = Field(0.4, description="stop once a round's accuracy exceeds this")
    max_rounds: int = Field(1000, ge=1, description="stop after this many rounds at the latest")
    queries: int = Field(32, ge=1, description="query images per round")
    lr: LearningRate = Field(1e-4, description="Adam's learning rate")


class Finetune(Settings):
    """Fine-tuning on the support by Algorithm 1 (paper 4.1.3)."""

    epochs: dict[int, int] = Field(
        {2: 10, 3: 5, 4: 3, 5: 2}, description="passes over the support, per number of shots; above 5 as 5"
    )
    lr: LearningRate = Field(1e-4, description="Adam's learning rate")

    @field_validator("epochs")
    @classmethod
    def _epochs_make_sense(cls, epochs: dict[int, int]) -> dict[int, int]:
        for shots, passes in epochs.items():
            if shots < 2:
                raise ValueError(f"epochs for {shots} shot(s): fine-tuning needs two images of a class, start at 2")
            if passes < 0:
                raise ValueError(f"epochs for {shots} shots are {passes}, expected 0 or more")
        return dict(sorted(epochs.items()))

    def epochs_for(self, shots: int) -> int:
        """Passes for `shots` images per class: none for one, and those of the next smaller number listed."""
        listed = [n for n in self.epochs if n <= shots]
        return self.epochs[max(listed)] if listed else 0


class HeadSettings(Settings):
    """What turns residual maps into a class."""

    kind: str = Field("contrastive", description=f"one of {', '.join(sorted(HEADS))}")
    temperature: float = Field(0.07, gt=0.0, description="contrastive: divides the dot products")
    patches: int = Field(40, ge=1, description="how many of an image's most anomalous patches are averaged")
    weights: Literal["excess", "uniform"] = Field(
        "excess", description="an anomalous patch counts by its distance beyond the first one left out, or as any other"
    )
    pool: Literal["anomalous", "flatten"] = Field(
        "anomalous",
        description="contrastive: one vector from the most anomalous patches and their own mean, or from all in place",
    )
    hidden: tuple[int, int] = Field((256, 128), description="contrastive: channels of the two 1x1 convolutions")
    embedding: int = Field(128, ge=1, description="contrastive, flatten: length of an embedding")

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in HEADS:
            raise ValueError(f"unknown head {kind!r}, expected one of {', '.join(sorted(HEADS))}")
        return kind


class FoldConfig(Settings):
    """One fold's configuration: everything its result depends on beside the images, the seed and the draw."""

    shots: int = Field(2, ge=1, description="support images per class")
    compute: Compute = Compute()
    features: Features = Features()
    reference: Reference = Reference()
    residual: bool = Field(True, description="subtract the nearest bank rows; off: raw features")
    support: Support = Support()
    pseudo: Pseudo = Pseudo()
    pretrain: Pretrain = Pretrain()
    finetune: Finetune = Finetune()
    head: HeadSettings = HeadSettings()
