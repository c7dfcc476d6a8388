"""Settings of a gallery."""

from __future__ import annotations

from pydantic import Field

from fsamc.config.settings import Settings


class GallerySettings(Settings):
    """What a gallery shows, and how large."""

    answers: int = Field(4, ge=0, description="wrong and unsure answers that are shown of each category, at most")
    supports: int = Field(5, ge=1, description="support pictures that are shown of a class, at most")
    side: int = Field(224, ge=32, description="longest side of a query's picture, pixels; a support picture has half")
    quality: int = Field(80, ge=1, le=95, description="of the JPEGs")
    megabytes: float = Field(
        3.0,
        ge=0.0,
        description="that all pictures may take; else they become smaller, then later answers have none",
    )
