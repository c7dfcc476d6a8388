"""A plan: one fold's configuration, the space around it, the folds, the resources and the search."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fsamc.config.fold import FoldConfig
from fsamc.config.settings import Settings

Auto = Literal["auto"]


class Distribution(Settings):
    """Where a swept knob's values come from: exactly one of the four forms."""

    choice: tuple[Any, ...] | None = Field(None, min_length=1, description="any of these values")
    uniform: tuple[float, float] | None = Field(None, description="a number between the two")
    loguniform: tuple[float, float] | None = Field(None, description="a number between the two, on a log scale")
    integers: tuple[int, int] | None = Field(None, description="a whole number between the two, both included")

    @model_validator(mode="after")
    def _exactly_one(self) -> Distribution:
        given = sorted(self.model_fields_set)
        if len(given) != 1:
            raise ValueError(f"expected one of choice, uniform, loguniform, integers; found {given or 'none'}")
        bounds = self.uniform or self.loguniform or self.integers
        if bounds and bounds[0] >= bounds[1]:
            raise ValueError(f"{given[0]}: {list(bounds)}: the lower bound must be below the upper one")
        if self.loguniform and self.loguniform[0] <= 0:
            raise ValueError(f"loguniform: {list(self.loguniform)}: a log scale needs bounds above 0")
        return self

    @property
    def extremes(self) -> tuple[Any, ...]:
        """Every choice, or the two bounds: if these are valid, so is all between."""
        return self.choice or self.uniform or self.loguniform or self.integers or ()


class Folds(Settings):
    """Which folds score a trial."""

    categories: Literal["all"] | tuple[str, ...] = Field("all", description="`all`, or a list of folders under DATA")
    seeds: tuple[int, ...] = Field((1, 2), min_length=1, description="seeds of banks and heads")
    draws: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        (0,), min_length=1, description="choices of the support: 0 the first n images, 1, 2, ... random"
    )

    @field_validator("categories", "seeds", "draws")
    @classmethod
    def _no_repeats(cls, values: Any) -> Any:
        if not isinstance(values, str) and len(set(values)) != len(values):
            raise ValueError(f"{list(values)} names a value twice")
        return values


class Resources(Settings):
    """What one fold takes, and how many run at once. None of these but `cpus` and `gpus` changes a result."""

    cpus: int = Field(1, ge=1, description="CPU cores, and so threads, of one fold")
    gpus: float | Auto = Field("auto", description="GPUs of one fold (a share is fine); auto: 0.5 where there is one")
    workers: int | Auto = Field("auto", description="folds running at once; auto: as many as the cluster's CPUs hold")
    folds_at_once: int | Auto = Field("auto", description="folds of one trial side by side; auto: all of them")
    retries: int = Field(1, ge=0, description="how often a failed fold is tried again")

    @field_validator("workers", "folds_at_once")
    @classmethod
    def _at_least_one(cls, value: int | Auto) -> int | Auto:
        if value != "auto" and value < 1:
            raise ValueError(f"found {value}, expected `auto` or 1 and more")
        return value

    @field_validator("gpus")
    @classmethod
    def _not_negative(cls, value: float | Auto) -> float | Auto:
        if value != "auto" and value < 0:
            raise ValueError(f"found {value}, expected `auto` or 0 and more")
        return value


class Search(Settings):
    """How the space is explored. Trial 0 is always the plan's base itself."""

    algorithm: Literal["grid", "random", "optuna", "list"] = Field(
        "optuna", description="who proposes configurations; list: the plan's `configurations`"
    )
    trials: int = Field(20, ge=1, description="configurations to try, the base among them; a grid or a list: all")
    seed: int = Field(0, ge=0, description="seed of the proposals")


class Plan(Settings):
    """A sweep, as written in YAML."""

    name: str = Field(min_length=1, description="the MLflow experiment's name")
    base: FoldConfig = FoldConfig()
    space: dict[str, Distribution] = Field({}, description="dotted keys of `base` and where their values come from")
    configurations: tuple[dict[str, Any], ...] = Field(
        (), description="in place of a space: the trials after the base, each as dotted keys that differ from it"
    )
    folds: Folds = Folds()
    resources: Resources = Resources()
    search: Search = Search()

    @model_validator(mode="after")
    def _a_list_or_a_space(self) -> Plan:
        listed = self.search.algorithm == "list"
        if listed and self.space:
            raise ValueError("search.algorithm is list, which takes `configurations` and no `space`; leave one out")
        if self.configurations and not listed:
            raise ValueError(f"`configurations` need search.algorithm: list, found {self.search.algorithm}")
        return self

    @model_validator(mode="after")
    def _compute_comes_from_resources(self) -> Plan:
        if "compute" in self.base.model_fields_set and self.base.compute.threads != self.resources.cpus:
            raise ValueError(
                f"base.compute.threads is {self.base.compute.threads} and resources.cpus {self.resources.cpus}: "
                "set resources.cpus and leave base.compute out"
            )
        return self
