"""Settings of scoring: what a fold is scored on, and what more it measures."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from fsamc.config.settings import Settings

Measure = Literal["support", "pseudo"]
MEASURES: tuple[Measure, ...] = ("support", "pseudo")


class Pool(Settings):
    """Queries that are named together: unlabelled as they are, they move what stands for the classes (transduction)."""

    rounds: int = Field(
        0, ge=0, description="how often a fold's queries, named together, move the class means; 0: each is named alone"
    )
    temperature: float = Field(
        0.1, gt=0.0, description="divides a head's logits where a query is shared out among the classes"
    )


class Scoring(Settings):
    """What a fold is scored on, and what it measures besides.

    A plan fills this in from `folds` and `objective`; set it there.
    """

    by: Literal["queries", "support"] = Field(
        "queries", description="what the accuracy is over: the queries, or the support images, each left out in turn"
    )
    pool: Pool = Pool()
    measure: tuple[Measure, ...] = Field((), description="further scores of the fold, for objectives")
    held_out: float = Field(
        0.5, gt=0.0, lt=1.0, description="pseudo: share of each pseudo-class's images that is held out"
    )
    tasks: int = Field(5, ge=1, description="pseudo: n-shot tasks on the held-out images")

    @field_validator("measure")
    @classmethod
    def _in_order(cls, names: tuple[Measure, ...]) -> tuple[Measure, ...]:
        return tuple(name for name in MEASURES if name in names)

    @property
    def leaves_out(self) -> bool:
        """Whether support images are left out in turn."""
        return self.by == "support" or "support" in self.measure

    def held_out_of(self, per_class: int) -> int:
        """How many of a pseudo-class's images are held out."""
        return round(self.held_out * per_class)
