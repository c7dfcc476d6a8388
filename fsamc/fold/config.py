"""Configuration of one fold: the settings of every stage, and what must fit together.

The defaults are the better way where it has been measured. The paper's own values are spelled out
by the presets named after it. A field's description is what `fsamc plan show` prints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fsamc.config.compute import Compute
from fsamc.config.detection import Detection
from fsamc.config.features import Features
from fsamc.config.learning import Finetune, Pretrain
from fsamc.config.pseudo import Pseudo
from fsamc.config.representation import Representation, Views
from fsamc.config.scoring import Scoring
from fsamc.config.settings import Settings
from fsamc.config.support import Support
from fsamc.counting import counted
from fsamc.detectors.detector_kinds import AnyDetector, PatchCoreSettings
from fsamc.features.networks.lookup import AUTO
from fsamc.features.networks.torchvision_resnet import RESNETS
from fsamc.heads.head_kinds import AnyHead, PrototypeSettings


class FoldConfig(Settings):
    """One fold's configuration: everything its result depends on beside the images, the seed and the draw."""

    shots: int = Field(2, ge=1, description="support images per class")
    compute: Compute = Compute()
    features: Features = Features()
    reference: AnyDetector = Field(PatchCoreSettings(), description="what would be normal there, and is subtracted")
    detection: Detection = Detection()
    good: bool = Field(False, description="`good` is one more class, its images from test/good (table 12)")
    representation: Representation = Representation()
    views: Views = Views()
    support: Support = Support()
    pseudo: Pseudo = Pseudo()
    pretrain: Pretrain = Pretrain()
    finetune: Finetune = Finetune()
    head: AnyHead = Field(PrototypeSettings(), description="what names an image's class")
    scoring: Scoring = Scoring()

    @field_validator("head", "reference", mode="before")
    @classmethod
    def _of_the_default_kind(cls, settings: Any, info: ValidationInfo) -> Any:
        """Read settings without a kind as those of the default."""
        default = cls.model_fields[str(info.field_name)].default
        return {"kind": default.kind, **settings} if isinstance(settings, Mapping) else settings

    @model_validator(mode="after")
    def _a_whole_network_where_images_are_seen(self) -> FoldConfig:
        if self.head.sees == "images" and self.features.backbone not in (*RESNETS, AUTO):
            raise ValueError(
                f"`head.kind: {self.head.kind}` fine-tunes a whole network and {self.features.title} ends at feature"
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
                "one image to name and one to learn from; raise the shots (in a plan folds.shots) or choose another "
                "objective"
            )
        return self

    @model_validator(mode="after")
    def _a_pool_has_means_to_move(self) -> FoldConfig:
        if self.scoring.pool.rounds and not (self.head.means and self.head.sees == "vectors"):
            raise ValueError(
                f"`head.kind: {self.head.kind}` has no mean vector of a class, which folds.pool moves; choose another "
                "head, such as prototype, or set folds.pool.rounds to 0"
            )
        return self

    @model_validator(mode="after")
    def _pseudo_defects_can_be_held_out(self) -> FoldConfig:
        if "pseudo" not in self.scoring.measure:
            return self
        if self.head.sees == "images":
            raise ValueError(
                f"`head.kind: {self.head.kind}` sees no maps, which objective pseudo is about; leave it out"
            )
        held_out = self.scoring.held_out_of(self.pseudo.per_class)
        kept = self.pseudo.per_class - held_out
        if held_out <= self.shots or kept < 2:
            raise ValueError(
                f"objective.held_out {self.scoring.held_out} of `pseudo.per_class` {self.pseudo.per_class} holds out "
                f"{held_out} and keeps {kept}; {counted(self.shots, 'shot', 'need')} {self.shots + 1} held out, "
                "pretraining 2 kept: raise base.pseudo.per_class or change objective.held_out"
            )
        return self
