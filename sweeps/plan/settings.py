"""A plan: one fold's configuration, the space around it, the folds, the resources and the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ModelWrapValidatorHandler, PrivateAttr, field_validator, model_validator

from fsamc.config.scoring import Pool, Scoring
from fsamc.config.settings import Settings
from fsamc.deadline import DEADLINE
from fsamc.fold.config import FoldConfig
from sweeps.plan.kinds import is_aside, mapping, parted, sweep_kinds
from sweeps.plan.objective_settings import Objective
from sweeps.plan.search_settings import Search

Auto = Literal["auto"]


class Distribution(Settings):
    """Where a swept knob's values come from: exactly one of the four forms; and when it is swept at all."""

    choice: tuple[Any, ...] | None = Field(None, min_length=1, description="any of these values")
    uniform: tuple[float, float] | None = Field(None, description="a number between the two")
    loguniform: tuple[float, float] | None = Field(None, description="a number between the two, on a log scale")
    integers: tuple[int, int] | None = Field(None, description="a whole number between the two, both included")
    when: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        {}, description="dotted keys and the values that each must have; else this knob keeps the base's value"
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Distribution:
        forms = sorted(self.model_fields_set - {"when"})
        if len(forms) != 1:
            raise ValueError(f"expected one of choice, uniform, loguniform, integers; found {forms or 'none'}")
        bounds = self.uniform or self.loguniform or self.integers
        if bounds and bounds[0] >= bounds[1]:
            raise ValueError(f"{forms[0]}: {list(bounds)}: the lower bound must be below the upper one")
        if self.loguniform and self.loguniform[0] <= 0:
            raise ValueError(f"loguniform: {list(self.loguniform)}: a log scale needs bounds above 0")
        return self

    @property
    def form(self) -> str:
        """Which of the four."""
        return next(iter(self.model_fields_set - {"when"}))

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
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (2,), min_length=1, description="support images per class; every trial is scored at each of these"
    )
    score: Literal["queries", "support"] = Field(
        "queries",
        description="what the accuracy is over: the queries, or, where a class has no image beyond its n, "
        "the support images, each named by a head that was trained on the others",
    )
    pool: Pool = Pool()
    protocol: Literal["all", "mvtec-fs"] = Field(
        "all",
        description="which images: all, or MVREC's protocol, where draws choose from the first half of each class's "
        "groups and the other half are the queries of all draws",
    )

    @field_validator("categories", "seeds", "draws", "shots")
    @classmethod
    def _no_repeats(cls, values: Any) -> Any:
        if not isinstance(values, str) and len(set(values)) != len(values):
            raise ValueError(f"{list(values)} names a value twice")
        return values

    @model_validator(mode="after")
    def _a_pool_is_of_queries(self) -> Folds:
        if self.pool.rounds and self.score == "support":
            raise ValueError("`pool.rounds` is for queries, and `score: support` has none; set one of them back")
        return self

    @field_validator("shots")
    @classmethod
    def _ascending(cls, shots: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(shots))


class Resources(Settings):
    """What one fold takes, how many run at once, and what is watched. Only `cpus` and `gpus` change a result."""

    cpus: int = Field(1, ge=1, description="CPU cores, and so threads, of one fold")
    gpus: float | Auto = Field("auto", description="GPUs of one fold (a share is fine); auto: 0.5 where there is one")
    workers: int | Auto = Field("auto", description="folds running at once; auto: as many as the cluster's CPUs hold")
    nice: int = Field(
        0,
        ge=0,
        le=19,
        description="by how much folds give way to other work on this machine; on a cluster it is said when it starts",
    )
    folds_at_once: int | Auto = Field(
        "auto",
        description="folds of one trial side by side; auto: all of them, or, where trials may be stopped early, "
        "no more than it takes to keep all workers busy with different trials",
    )
    working_set: float | Auto = Field(
        "auto",
        description="GB of banks and nearest rows that are kept in memory on a node: where all categories' take more, "
        "they are done in blocks, one after the other; auto: half of the smallest node's object store",
    )
    retries: int = Field(1, ge=0, description="how often a failed fold is tried again")
    system_metrics: bool = Field(
        False, description="log the driver's CPU, memory, disk and GPUs to the sweep's MLflow run"
    )
    tracking_patience: float = Field(
        60.0, ge=0, description="seconds that a finished sweep waits for an MLflow that does not answer"
    )
    deadline: float = Field(
        DEADLINE,
        gt=0,
        description="seconds that a call to MLflow, to `search.storage`, to a job server or to an object store (each "
        "MiB of a file) may take in all, however the answer trickles in",
    )

    @field_validator("workers", "folds_at_once")
    @classmethod
    def _at_least_one(cls, value: int | Auto) -> int | Auto:
        if value != "auto" and value < 1:
            raise ValueError(f"found {value}, expected `auto` or 1 and more")
        return value

    @field_validator("gpus", "working_set")
    @classmethod
    def _not_negative(cls, value: float | Auto) -> float | Auto:
        if value != "auto" and value < 0:
            raise ValueError(f"found {value}, expected `auto` or 0 and more")
        return value


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
    objective: Objective = Objective()
    _aside: dict[str, Any] = PrivateAttr(default_factory=dict)
    _notes: tuple[str, ...] = PrivateAttr(default=())

    @model_validator(mode="wrap")
    @classmethod
    def _kinds_of_the_sweep(cls, tree: Any, handler: ModelWrapValidatorHandler[Plan]) -> Plan:
        if not isinstance(tree, Mapping):
            return handler(tree)
        tree, aside = parted(_with_base_shots(tree))
        plan = handler(tree)
        plan._aside = aside
        return plan

    @property
    def aside(self) -> dict[str, Any]:
        """The base's settings, by dotted key, for the other kinds that its head and detector become in the sweep."""
        kinds = self.kinds if self._aside else {}
        return {key: value for key, value in self._aside.items() if is_aside(key, kinds)}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was read as something else than it was written as, a line each."""
        return self._notes

    @property
    def kinds(self) -> dict[str, list[str]]:
        """The kinds of heads and of detectors in the sweep, the base's first, by the field of the base."""
        return sweep_kinds(self.model_dump(mode="json", include={"base", "space", "configurations"}))

    @model_validator(mode="after")
    def _a_list_or_a_space(self) -> Plan:
        listed = self.search.algorithm == "list"
        if listed and self.space:
            raise ValueError("search.algorithm is list, which takes `configurations` and no `space`; leave one out")
        if self.configurations and not listed:
            raise ValueError(f"`configurations` need search.algorithm: list, found {self.search.algorithm}")
        return self

    @model_validator(mode="after")
    def _a_study_is_optunas(self) -> Plan:
        of_optuna = {
            "sampler": self.search.sampler != "tpe",
            "storage": self.search.storage,
            "study": self.search.study,
            "prior": self.search.prior.sweeps,
        }
        for name, value in of_optuna.items():
            if value and self.search.algorithm != "optuna":
                raise ValueError(f"search.{name} goes with search.algorithm: optuna, found {self.search.algorithm}")
        return self

    @model_validator(mode="after")
    def _compute_comes_from_resources(self) -> Plan:
        if "compute" in self.base.model_fields_set and self.base.compute.threads != self.resources.cpus:
            raise ValueError(
                f"base.compute.threads is {self.base.compute.threads} and resources.cpus {self.resources.cpus}: "
                "set resources.cpus and leave base.compute out"
            )
        return self

    @model_validator(mode="after")
    def _shots_come_from_the_folds(self) -> Plan:
        if "shots" in self.base.model_fields_set and self.base.shots != self.folds.shots[-1]:
            raise ValueError(
                f"base.shots is {self.base.shots} and folds.shots {list(self.folds.shots)}: leave base.shots out"
            )
        if self.objective.shots != "mean" and self.objective.shots not in self.folds.shots:
            raise ValueError(
                f"objective.shots is {self.objective.shots}, and no fold has as many: expected `mean` or one of "
                f"folds.shots {list(self.folds.shots)}"
            )
        return self

    @model_validator(mode="after")
    def _scoring_comes_from_the_objective(self) -> Plan:
        if self.base.scoring not in (Scoring(), self.scoring):
            raise ValueError(
                "base.scoring is filled in from `objective`, `folds.score` and `folds.pool`; set these and leave it out"
            )
        return self

    @property
    def scoring(self) -> Scoring:
        """What each fold measures."""
        scoring = self.objective.scoring(self.folds.score)
        return scoring.model_copy(update={"pool": self.folds.pool}) if self.folds.pool.rounds else scoring


def _with_base_shots(tree: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Fill in the base's shots: the most of `folds.shots`."""
    base, numbers = tree.get("base", {}), mapping(tree.get("folds")).get("shots", Folds.model_fields["shots"].default)
    whole = isinstance(numbers, list | tuple) and numbers and all(type(n) is int and n > 0 for n in numbers)
    if not whole or not isinstance(base, Mapping) or "shots" in base:
        return tree
    return {**tree, "base": {**base, "shots": max(numbers)}}
