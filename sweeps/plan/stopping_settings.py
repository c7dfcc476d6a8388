"""Settings of early stopping."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fsamc.config.settings import Settings


class Stopping(Settings):
    """When a trial is stopped before all of its folds are scored. Trial 0, the base, never is."""

    kind: Literal["auto", "none", "race", "asha", "median"] = Field(
        "auto",
        description="race: against the best complete trial, fold by fold; asha: successive halving; median: below the "
        "median of the others; auto: race where the search is optuna, else none, for a table that does not depend on "
        "the order in which folds arrive",
    )
    confidence: float = Field(
        0.95,
        gt=0.5,
        lt=1.0,
        description="race: how sure to be that a trial would end below the best one; higher stops fewer",
    )
    fewest_folds: int = Field(
        2, ge=1, description="folds (for a race: shared with the best trial) before a trial may be stopped"
    )
    spread: float = Field(
        0.1,
        gt=0.0,
        le=1.0,
        description="race: how much the difference of two trials is expected to vary from fold to fold (standard "
        "deviation of accuracy, in [0, 1]); weighs as one observation against what the sweep itself shows",
    )
    reduction: float = Field(3.0, gt=1.0, description="asha: one in this many trials goes on at each halving")
    fewest_trials: int = Field(3, ge=1, description="median: other trials that must have come as far")
