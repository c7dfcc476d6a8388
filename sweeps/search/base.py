"""Base of every proposer: the lifetime of a trial, as the search sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sweeps.plan.configurations import base_values
from sweeps.plan.settings import Plan
from sweeps.plan.space import Values, is_discrete, points
from sweeps.search.distributions import as_text


class Proposal(NamedTuple):
    """A trial that is to be run: its number, and the values of the swept keys that it has."""

    number: int
    values: Values


@dataclass(frozen=True, kw_only=True)
class Home:
    """The sweep that a proposer works for.

    Attributes:
        out: its folder.
        run: what tells it from other sweeps of the same plan, kept when it is resumed.
        data: fingerprint of the images that score its trials.
    """

    out: Path
    run: str
    data: str


class Proposer(ABC):
    """Proposes trial after trial, and learns what they scored.

    A trial's lifetime: `propose` gives its number and values. The sweep writes them to OUT, runs the folds, writes
    those too, and then says `tell`, once: with the score, or with None if a fold failed; or `prune`, if it was stopped
    early. Several trials may be under way at a time. Numbers grow; there are gaps only where other drivers add trials
    to the same study. Trial 0 is the plan's base. No configuration is proposed twice: what a key has whose condition is
    not met does not count.

    A resumed sweep makes a new proposer and says what OUT holds, in order of the numbers: `replay` for every trial, and
    `tell` or `prune` for those that are done. Then it goes on with `propose`, which gives what it would have given
    without the interruption, if the same was known by then. A trial of an earlier run that is not done is not proposed
    again: the sweep has its values, runs it under its number, and tells.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @abstractmethod
    def propose(self) -> Proposal | None:
        """Give the next trial; None when there are no more."""

    @abstractmethod
    def replay(self, number: int, values: Values) -> None:
        """Take note of a trial that an earlier run proposed."""

    @abstractmethod
    def left(self) -> int:
        """Count the trials that are still to be proposed, by whatever driver."""

    def tell(  # noqa: B027  most have nothing to learn
        self,
        number: int,
        score: float | None,
        *,
        seconds: float | None = None,
        std: float | None = None,
        folds: Mapping[int, float] | None = None,
    ) -> None:
        """Learn how a trial ended; only the first word about it counts.

        Args:
            number: the trial's.
            score: its average accuracy, in [0, 1]; None if it failed.
            seconds: the mean of what its folds took by themselves.
            std: the score's standard deviation over seeds.
            folds: the score of each fold, by its place among all of the trial's, for whoever looks at the study.
        """

    def prune(  # noqa: B027
        self, number: int, estimate: float, *, folds: Mapping[int, float], seconds: float | None = None
    ) -> None:
        """Learn that a trial was stopped early; only the first word about it counts.

        Args:
            number: the trial's.
            estimate: of the score that it would have had.
            folds: the score of each fold that it has, by the fold's place among all that it would have had.
            seconds: the mean of what these took by themselves.
        """

    def foreseen(self) -> Iterator[Values] | None:
        """Yield the trials of the whole search, in order; None where they depend on earlier scores."""
        return None

    def counted_by(self, keys: Collection[str]) -> Iterable[tuple[Values, int]] | None:
        """Yield a trial for each combination of values of `keys`, and how many trials of the whole search have it.

        None where the trials depend on earlier scores.
        """
        if (foreseen := self.foreseen()) is None:
            return None
        counted: dict[str, tuple[Values, int]] = {}
        for values in foreseen:
            combination = as_text({key: values.get(key) for key in keys})
            counted[combination] = values, counted.get(combination, (values, 0))[1] + 1
        return counted.values()

    def count(self) -> int:
        """Count the trials there will be in all, the base among them."""
        return distinct(self.plan)

    def notice(self) -> str:
        """Say where there are fewer trials than were asked for; empty where there are as many."""
        trials, there = self.plan.search.trials, self.count()
        if self.plan.space and there < trials and self.plan.search.algorithm in ("random", "optuna"):
            return f"the space holds {there} configurations, fewer than search.trials {trials}: each is tried once"
        return ""


def distinct(plan: Plan) -> int:
    """`search.trials`, or the number of different configurations where that is smaller; one where nothing is swept."""
    if not plan.space or not is_discrete(plan.space):
        return plan.search.trials if plan.space else 1
    base = as_text(base_values(plan))
    others = (point for point in points(plan.space, plan.base) if as_text(point) != base)
    return 1 + sum(1 for _ in islice(others, plan.search.trials - 1))
