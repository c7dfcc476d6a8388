"""Every knob of one fold: defaults, units and checks, one class per stage.

The defaults are the better way where it has been measured. The paper's own values are spelled out
by the presets named after it. A field's description is what `fsamc plan show` prints.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fsamc.config.learning import Finetune, HeadSettings, Pretrain
from fsamc.config.pseudo import Pseudo
from fsamc.config.reference import Detection, Reference
from fsamc.config.scoring import Scoring
from fsamc.config.settings import Settings
from fsamc.heads import HEADS


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
    def _a_program_has_weights(self) -> Features:
        if self.weights is not None and self.backbone.endswith(".pt2"):
            raise ValueError(f"`weights` ({self.weights}) is for a named ResNet; {self.backbone} holds its own")
        return self

    @model_validator(mode="after")
    def _crop_fits(self) -> Features:
        if self.resize is not None and self.fit != "crop":
            raise ValueError(f"`resize` is the short side before a centre crop; with fit: {self.fit} leave it out")
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"`resize` ({self.resize}) is smaller than the crop `size` ({self.size})")
        return self


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


class FoldConfig(Settings):
    """One fold's configuration: everything its result depends on beside the images, the seed and the draw."""

    shots: int = Field(2, ge=1, description="support images per class")
    compute: Compute = Compute()
    features: Features = Features()
    reference: Reference = Reference()
    detection: Detection = Detection()
    good: bool = Field(False, description="`good` is one more class, its images from test/good (table 12)")
    residual: bool = Field(True, description="subtract the nearest bank rows; off: raw features")
    support: Support = Support()
    pseudo: Pseudo = Pseudo()
    pretrain: Pretrain = Pretrain()
    finetune: Finetune = Finetune()
    head: HeadSettings = HeadSettings()
    scoring: Scoring = Scoring()

    @model_validator(mode="after")
    def _a_whole_network_where_images_are_seen(self) -> FoldConfig:
        if HEADS[self.head.kind].sees == "images" and self.features.backbone.endswith(".pt2"):
            raise ValueError(
                f"`head.kind: {self.head.kind}` fine-tunes a whole network and {self.features.backbone} ends at feature"
                " maps; name a ResNet, e.g. --backbone resnet50 with --weights FILE"
            )
        return self

    @model_validator(mode="after")
    def _good_is_a_class_or_is_detected(self) -> FoldConfig:
        if self.good and self.detection.enabled:
            raise ValueError(
                "`good` is true and so is `detection.enabled`: either good images are a class of their own "
                "or detection tells them apart; switch one off"
            )
        return self

    @model_validator(mode="after")
    def _something_is_left_to_learn_from(self) -> FoldConfig:
        if self.scoring.leaves_out and self.shots < 2:
            raise ValueError(
                "`shots` is 1, and leave-one-out on the support (objective support, or folds.score: support) needs 2: "
                "one image to name and one to learn from; raise base.shots or choose another objective"
            )
        return self

    @model_validator(mode="after")
    def _pseudo_defects_can_be_held_out(self) -> FoldConfig:
        if "pseudo" not in self.scoring.measure:
            return self
        if HEADS[self.head.kind].sees == "images":
            raise ValueError(
                f"`head.kind: {self.head.kind}` sees no maps, which objective pseudo is about; leave it out"
            )
        held_out = self.scoring.held_out_of(self.pseudo.per_class)
        kept = self.pseudo.per_class - held_out
        if held_out <= self.shots or kept < 2:
            raise ValueError(
                f"objective.held_out {self.scoring.held_out} of `pseudo.per_class` {self.pseudo.per_class} holds out "
                f"{held_out} and keeps {kept}; {self.shots} shots need {self.shots + 1} held out, pretraining 2 kept: "
                "raise base.pseudo.per_class or change objective.held_out"
            )
        return self
