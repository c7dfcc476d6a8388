"""Settings of the objective, which chooses among trials; of the final, which scores them; of what is known before."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fsamc.config.scoring import MEASURES, Measure, Scoring
from fsamc.config.settings import Settings


class Objective(Settings):
    """The score by which search, racing and the choice of the best compare trials."""

    kind: Literal["query", "support", "pseudo", "transfer"] = Field(
        "query",
        description="query: accuracy on the queries that are reported, so selection on the test set; support: "
        "leave-one-out on the support images; pseudo: held-out pseudo-defects; transfer: the other categories",
    )
    shots: Literal["mean"] | Annotated[int, Field(ge=1)] = Field(
        "mean", description="which of folds.shots chooses: their mean, or one number of them"
    )
    also: tuple[Measure, ...] = Field(
        (), description="`support`, `pseudo`: measured too, so that the report can say what they would have chosen"
    )
    target: tuple[str, ...] = Field(
        (), description="transfer: categories that have no say in the choice and are reported on"
    )
    held_out: float = Field(
        0.5, gt=0.0, lt=1.0, description="pseudo: share of each pseudo-class's images that no pretraining sees"
    )
    tasks: int = Field(
        5, ge=1, description="pseudo: n-shot tasks drawn from them for each fold, of as many classes as the category's"
    )

    abstain: bool = Field(
        True,
        description="keep to the base in best.yaml where a choice made on the other categories (of one category: on "
        "the other draws or seeds) is not above it on the one left out by more than the noise",
    )

    @model_validator(mode="after")
    def _target_and_transfer(self) -> Objective:
        if (self.kind == "transfer") != bool(self.target):
            raise ValueError(
                f"`kind: {self.kind}` and `target: {list(self.target)}`: transfer needs the categories that are "
                "reported on, and nothing else takes them"
            )
        return self

    @property
    def is_reported(self) -> bool:
        """Whether what chooses is the accuracy that is reported, over all shots."""
        return self.kind == "query" and self.shots == "mean"

    @property
    def score_name(self) -> str:
        """What the score that chooses is called: `accuracy` where it is the one that is reported, else `objective`."""
        return "accuracy" if self.is_reported else "objective"

    @property
    def estimate_name(self) -> str:
        """What the estimate of that score is called that a trial has which was stopped early."""
        return f"{self.score_name}_estimate"

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What folds measure besides their accuracy."""
        return tuple(name for name in MEASURES if name == self.kind or name in self.also)

    def scoring(self, by: Literal["queries", "support"]) -> Scoring:
        """Say what each fold measures; settings of what is not measured stay out, so that they change no fold's key."""
        scoring = Scoring(by=by, measure=self.measures)
        settings = {"held_out": self.held_out, "tasks": self.tasks}
        return scoring.model_copy(update=settings) if "pseudo" in scoring.measure else scoring


class Final(Settings):
    """What the best trials are scored on at the end: images that the search neither scored nor had as support."""

    trials: int = Field(
        0,
        ge=0,
        description="how many of the best trials are scored once more when the search has ended, on images that had no "
        "say in it; the base comes too, and what cannot be told apart from the best. 0: no final",
    )
    most: int = Field(8, ge=1, description="trials of the final at most, where many cannot be told apart from the best")
    draws: int = Field(10, ge=2, description="draws of the support in the final: fresh ones, which the search had not")
    share: float = Field(
        0.3,
        gt=0.0,
        lt=1.0,
        description="share of each class's groups whose images are kept for the final; the search does without them",
    )


class EarlierSweeps(Settings):
    """A prior over the space, from earlier sweeps: what `optuna` would draw at random is drawn near their best.

    A list stands for `sweeps`.
    """

    sweeps: tuple[str, ...] = Field((), description="OUT folders of earlier sweeps, on other products or on these")
    best: int = Field(4, ge=1, description="trials of each of these that the first trials are drawn near")
    spread: float = Field(
        0.1, gt=0.0, description="how far from their values, as a standard deviation, in parts of a knob's range"
    )
    stray: float = Field(
        0.1, ge=0.0, le=1.0, description="how often a knob's value is drawn from all of its range all the same"
    )
    misses: int = Field(
        1,
        ge=1,
        description="the prior has no say any more once so many more of its trials scored below the median of the "
        "others than above it",
    )

    @model_validator(mode="before")
    @classmethod
    def _a_list(cls, tree: Any) -> Any:
        return {"sweeps": tree} if isinstance(tree, list | tuple) else tree
