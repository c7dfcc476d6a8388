"""Settings of the search and of early stopping."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from fsamc.config.settings import Settings
from fsamc.data.credentials import holds_secret
from sweeps.plan.objective_settings import EarlierSweeps, Final

StopsBy = Literal["none", "race", "proved", "intensify", "asha", "median"]
COMPARE = ("race", "proved", "intensify")  # with the best complete trial


class Stopping(Settings):
    """When a trial is stopped before all of its folds are scored. Trial 0, the base, never is."""

    kind: Literal["auto"] | StopsBy = Field(
        "auto",
        description="race: against the best complete trial, fold by fold; proved: the same with a proved probability "
        "of error, for more folds; intensify: as SMAC, by the mean over 1, 2, 4, 8, ... folds; asha: successive "
        "halving; median: below the median of the others; auto: race where the search is optuna, else none",
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
    error: float = Field(
        0.05,
        gt=0.0,
        lt=1.0,
        description="proved: probability that the trial that would end best is stopped; split over the trials where "
        "each depends on those before (optuna)",
    )
    margin: float = Field(
        0.01,
        ge=0.0,
        lt=1.0,
        description="accuracy, in [0, 1], that makes no difference; proved, and the other comparisons with the best "
        "trial where search.until is decided: a trial is stopped once it will not end more than this above it",
    )
    stakes: tuple[Annotated[float, Field(gt=0.0, le=1.0)], ...] = Field(
        (0.5, 1.0),
        min_length=1,
        description="proved: shares of what was won that are staked on each fold; the mean of what each wins counts",
    )
    least_error: float = Field(
        0.02,
        gt=0.0,
        le=1.0,
        description="proved: folds come in a random order, sooner where the base named more queries wrongly, and on no "
        "fold fewer than this share",
    )

    def decided(self, *, listed: bool) -> StopsBy:
        """Return `kind` with `auto` decided; `listed`: whether all trials are known before the first has run."""
        if self.kind != "auto":
            return self.kind
        return "none" if listed else "race"


class Search(Settings):
    """How the space is explored. Trial 0 is always the plan's base itself."""

    algorithm: Literal["grid", "random", "optuna", "list"] = Field(
        "optuna", description="who proposes configurations; list: the plan's `configurations`"
    )
    trials: int = Field(
        20,
        ge=1,
        description="configurations to try, the base among them, by all drivers of a study; a grid or a list: all",
    )
    seed: int = Field(0, ge=0, description="seed of the proposals")
    sampler: Literal["tpe", "cmaes", "gp"] = Field(
        "tpe",
        description="how `optuna` proposes: tpe in any space; cmaes for two or more ranges of numbers, without "
        "`choice`, `when` and a second goal; gp in any space, where keys with `when` are left to tpe",
    )
    startup: int = Field(10, ge=1, description="trials that `optuna` draws at random before it learns from them")
    asks: int = Field(
        10,
        ge=1,
        description="how often the sampler is asked for what has not been tried, before that is drawn at random",
    )
    goals: tuple[Literal["accuracy"]] | tuple[Literal["accuracy"], Literal["seconds"]] = Field(
        ("accuracy",),
        description="what is searched for: accuracy, or [accuracy, seconds], the seconds of a fold as a second goal; "
        "the best trial is the one of highest accuracy, and the Pareto set is written to sweep.json",
    )
    storage: str | None = Field(
        None,
        description="where `optuna` keeps its study: an SQLAlchemy URL or a journal file, OUT/study.db by default; "
        "${NAME} stands for an environment variable, and a password may be written in no other way",
    )
    study: str | None = Field(
        None,
        min_length=1,
        description="the study's name, the plan's by default; drivers that share it add to its trials",
    )
    stopping: Stopping = Stopping()
    final: Final = Final()
    prior: EarlierSweeps = EarlierSweeps()
    until: Literal["budget", "decided"] = Field(
        "budget",
        description="budget: trials as good as the best one run to their end; decided: a trial is over, and in the end "
        "the search, once it will not end more than search.stopping.margin above the best",
    )

    @field_validator("storage")
    @classmethod
    def _no_password(cls, storage: str | None) -> str | None:
        if holds_secret(storage or ""):
            raise ValueError(
                "holds a password, which would be written to files; write ${NAME} in its place and set that variable"
            )
        return storage

    @model_validator(mode="after")
    def _who_decides(self) -> Search:
        if self.until == "decided" and self.stops_by not in COMPARE:
            raise ValueError(f"until: decided needs stopping.kind: {' or '.join(COMPARE)}, found {self.stops_by}")
        return self

    @property
    def stops_by(self) -> StopsBy:
        """`stopping.kind` with `auto` decided."""
        return self.stopping.decided(listed=self.algorithm != "optuna")
