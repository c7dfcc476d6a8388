"""Settings of what a head sees of an image: its patches minus what is normal, in which units, and in how many views."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from fsamc.config.settings import Settings, Share

Part = Literal["residual", "centred", "raw"]
ViewSet = Literal["none", "flips", "turns", "all"]
ViewSetOrAuto = Literal["none", "flips", "turns", "all", "auto"]


class Representation(Settings):
    """From an image's patch features to what a head sees.

    Heads on vectors see one vector a view: the mean over the image's most anomalous patches. Those on maps see all
    patches in their places.
    """

    parts: tuple[Part, ...] = Field(
        ("centred",),
        min_length=1,
        description="side by side: patches minus their nearest normal row, minus the mean normal patch, or raw",
    )
    scale: Literal["covariance", "channel", "none"] = Field(
        "covariance",
        description="units of the parts: whitened by the covariance of normal patches, in each channel's standard "
        "deviation, or as they are",
    )
    shrinkage: Share = Field(
        0.005, description="covariance: share of its mean variance that stands in for it, so that it can be inverted"
    )
    patches: Annotated[int, Field(ge=1)] | Annotated[float, Field(gt=0.0, lt=1.0)] | Literal["stable"] = Field(
        40,
        description="vectors: how many of the most anomalous patches are averaged; below 1 a share of the grid; "
        "`stable`: those above the threshold at which the number of connected regions stays the same for longest",
    )
    weights: Literal["excess", "uniform"] = Field(
        "excess",
        description="vectors: an anomalous patch counts by its distance beyond the first one left out, or as any other",
    )
    extent: float = Field(
        0.2,
        ge=0.0,
        description="vectors: weight of the profile of anomaly, how far the patches at growing ranks are from normal; "
        "0 leaves it out",
    )
    region: Literal["anomaly", "masks"] = Field(
        "anomaly",
        description="vectors: which patches; `masks` takes the ground truth's, of queries too, as published "
        "comparisons do",
    )

    @field_validator("parts")
    @classmethod
    def _each_once(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
        if len(set(parts)) < len(parts):
            raise ValueError(f"`parts` names one twice: {', '.join(parts)}")
        return parts

    def count(self, n_patches: int) -> int:
        """Return how many of an image's P patches are averaged at the most, between 1 and P; half if it is `stable`."""
        if self.patches == "stable":
            return max(n_patches // 2, 1)
        wanted = self.patches if isinstance(self.patches, int) else round(self.patches * n_patches)
        return min(max(wanted, 1), n_patches)


class Views(Settings):
    """Flips and quarter turns in which images are looked at; an image's vector is the mean over its views."""

    support: ViewSetOrAuto = Field(
        "all",
        description="views of support images: none, flips, turns, all eight, or auto: chosen by the good images and, "
        "from two shots on, by the support",
    )
    queries: ViewSetOrAuto = Field("all", description="views of queries, likewise")
    good: int = Field(
        20,
        ge=1,
        description="auto: how many good images are turned, to see whether they stay less anomalous than defects",
    )
    errors: float = Field(
        3.0,
        ge=0.0,
        description="auto: by how many standard errors the support, left out image by image, must prefer other views",
    )

    @property
    def auto(self) -> bool:
        """Whether some views are chosen for each support."""
        return "auto" in (self.support, self.queries)

    def with_auto(self, views: ViewSet) -> tuple[ViewSet, ViewSet]:
        """Return the views of support and queries, with these where they are to be chosen."""
        support, queries = (views if one == "auto" else one for one in (self.support, self.queries))
        return support, queries
