"""Settings of the arithmetic: device and threads."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fsamc.config.settings import Settings


class Compute(Settings):
    """What the arithmetic runs on. It is part of every artifact's key: sums depend on it.

    A plan fills this in from `resources`; set it there.
    """

    device: Literal["cpu", "cuda"] = Field("cpu", description="where tensors live")
    threads: int = Field(1, ge=1, description="threads of one fold; sums change with their number")
