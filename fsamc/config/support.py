"""Settings of the support: which images it is, and what is averaged."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fsamc.config.settings import Settings


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
