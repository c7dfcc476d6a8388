"""Settings of the detectors (paper 3.2, 3.4, 5), a class per kind: all there is to know of one without loading torch.

A detector is added by a class here and its name in `AnyDetector`, and by the file that its `detector` names.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from fsamc.config.settings import LearningRate, Settings, Share


class DetectorSettings(Settings):
    """Base of every detector's settings.

    Attributes:
        detector: `module:class`.
        drawn: whether the seed changes anything.
        query_settings: the settings that only answers to queries depend on; all others decide what is learnt, too.
    """

    detector: ClassVar[str]
    drawn: ClassVar[bool] = True
    query_settings: ClassVar[frozenset[str]] = frozenset()

    kind: str

    def of_patches(self, _patches: int) -> Self:
        """Return the settings without limits that so many good patches do not come to."""
        return self

    @property
    def learning_settings(self) -> dict[str, Any]:
        """The kind, and the settings that the kept arrays depend on."""
        return self.model_dump(mode="json", exclude={*self.query_settings})

    @property
    def answer_settings(self) -> dict[str, Any]:
        """The settings that only answers to queries depend on."""
        return self.model_dump(mode="json", include={*self.query_settings})


class RetrievalSettings(DetectorSettings):
    """Base for detectors that first look for the good images most like the query."""

    query_settings: ClassVar[frozenset[str]] = frozenset({"images"})
    images: int = Field(10, ge=1, description="how many good images most like the query are looked at")


class CprSettings(RetrievalSettings):
    """CPR (Li et al., 2023)."""

    detector: ClassVar[str] = "fsamc.detectors.cpr:Cpr"
    query_settings: ClassVar[frozenset[str]] = frozenset({"images", "window"})
    kind: Literal["cpr"] = "cpr"
    words: int = Field(12, ge=2, description="kinds of patches that the histograms of an image count")
    blocks: int = Field(4, ge=1, description="an image has this many histograms along each side")
    window: int = Field(1, ge=0, description="how many grid steps a patch may lie from the query's place")


class PadimSettings(DetectorSettings):
    """PaDiM (Defard et al., ICPR 2021)."""

    detector: ClassVar[str] = "fsamc.detectors.padim:Padim"
    kind: Literal["padim"] = "padim"
    channels: int = Field(100, ge=1, description="channels, drawn at random, that its Gaussians are over")
    ridge: float = Field(0.01, gt=0.0, description="added to the diagonal of its covariances")


class BankSettings(DetectorSettings):
    """Base for detectors that keep some of the good patches."""

    ratio: float | None = Field(
        0.1, gt=0.0, le=1.0, description="share of the candidates kept in the bank; null where `rows` says how many"
    )
    rows: int | None = Field(
        None, ge=1, description="good patches kept in the bank, in place of `ratio`; all, where there are fewer"
    )
    projection: int = Field(128, ge=1, description="channels of the random projection the coreset is chosen in")
    starts: int = Field(10, ge=1, description="random points whose mean distance starts the coreset")
    candidates: int | None = Field(
        400_000,
        ge=1,
        description="good patches, drawn by the seed, that the bank is chosen among where there are more (500 images "
        "of 28 x 28 are fewer); null for all",
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_ratio_out(cls, values: Any) -> Any:
        """Where `rows` is set and nothing is said of `ratio`, there is none."""
        if isinstance(values, dict) and values.get("rows") is not None and "ratio" not in values:
            return {**values, "ratio": None}
        return values

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.ratio is None) == (self.rows is None):
            both = f"found ratio {self.ratio} and rows {self.rows}"
            raise ValueError(f"{both}; set one of reference.ratio and reference.rows, and the other to null")
        if self.rows is not None and self.candidates is not None and self.rows > self.candidates:
            both = f"found rows {self.rows} and candidates {self.candidates}"
            raise ValueError(f"{both}: a bank has no more rows than candidates; raise reference.candidates")
        return self

    def count(self, patches: int) -> int:
        """Return how many of the good patches make the bank, at least one."""
        among = patches if self.candidates is None else min(patches, self.candidates)
        if self.rows is not None:
            return min(self.rows, among)
        assert self.ratio is not None
        return max(1, int(among * self.ratio))

    def of_patches(self, patches: int) -> Self:
        """Leave `candidates` out where there are no more patches."""
        fewer = self.candidates is not None and patches <= self.candidates
        return self.model_copy(update={"candidates": None}) if fewer else self

    @property
    def learning_settings(self) -> dict[str, Any]:
        """Those of every detector that are set: of `ratio` and `rows` one, and `candidates` where it is a limit."""
        return {key: value for key, value in super().learning_settings.items() if value is not None}


class PatchCoreSettings(BankSettings):
    """PatchCore (Roth et al., CVPR 2022)."""

    detector: ClassVar[str] = "fsamc.detectors.patchcore:PatchCore"
    kind: Literal["patchcore"] = "patchcore"


class ReconPatchSettings(BankSettings):
    """ReconPatch (Hyun et al., WACV 2024): PatchCore in an embedding that is learnt from the good patches."""

    detector: ClassVar[str] = "fsamc.detectors.reconpatch:ReconPatch"
    kind: Literal["reconpatch"] = "reconpatch"
    embedding: int = Field(512, ge=1, description="channels that patches are compared in")
    steps: int = Field(200, ge=0, description="steps of Adam")
    batch: int = Field(512, ge=2, description="good patches, drawn at random, of a step")
    lr: LearningRate = Field(1e-3, description="Adam's learning rate")
    neighbours: int = Field(5, ge=2, description="nearest patches of a batch, itself among them, that patches share")
    bandwidth: float = Field(1.0, gt=0.0, description="squared distance, in means of a batch, at which likeness is 1/e")
    contextual: Share = Field(0.5, description="share of the neighbours in common in what is alike; else the distance")
    margin: float = Field(
        1.0, gt=0.0, description="how far patches that are not alike are pushed apart, in mean distances"
    )
    momentum: Share = Field(0.9, description="of the slower copy that says what is alike")


class SpadeSettings(RetrievalSettings):
    """SPADE (Cohen & Hoshen, 2020)."""

    detector: ClassVar[str] = "fsamc.detectors.spade:Spade"
    drawn: ClassVar[bool] = False
    kind: Literal["spade"] = "spade"


AnyDetector = Annotated[
    CprSettings | PadimSettings | PatchCoreSettings | ReconPatchSettings | SpadeSettings, Field(discriminator="kind")
]
