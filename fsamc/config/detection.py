"""Settings of detection: where the line is drawn (paper, figure 1)."""

from __future__ import annotations

from pydantic import Field

from fsamc.config.settings import Settings


class Detection(Settings):
    """Which images are called defective in the first place (paper, figure 1)."""

    enabled: bool = Field(False, description="also score the workflow: missed defects and false alarms are wrong")
    held_out: float = Field(
        0.2, gt=0.0, lt=1.0, description="share of the good images that the threshold is chosen on, by a bank without"
    )
    false_alarms: float = Field(
        0.05, ge=0.0, lt=1.0, description="share of the held-out good images above the threshold"
    )
