"""Estimate of the time that is left: folds by what they are like, and what is to be built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cluster.folds import Fold
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import configuration, swept
from sweeps.plan.space import Values
from sweeps.results.reader import TrialRecord
from sweeps.search import Proposer

Kind = tuple[str, int]  # head and shots: what the time of a fold depends on most
UNKNOWN: Kind = ("", 0)


def folds_of(prepared: Prepared, records: Iterable[TrialRecord]) -> Counter[Kind]:
    """Count the trials' folds by kind."""
    return _count(prepared, ((record.values, 1) for record in records))


def folds_left(prepared: Prepared, proposer: Proposer, records: Sequence[TrialRecord]) -> Counter[Kind]:
    """Count the folds of the trials that are not done, by kind; where a trial is not foreseen, as many as of the base.

    `records`: the trials that have been proposed.
    """
    trials = proposer.counted_by([key for key in swept(prepared.plan) if _sets_a_kind(key)])
    if trials is None:
        not_done = folds_of(prepared, (record for record in records if not record.done))
        return not_done + Counter({UNKNOWN: proposer.left() * len(prepared.folds(prepared.plan.base))})
    return _count(prepared, trials) - folds_of(prepared, (record for record in records if record.done))


def kind_of(fold: Fold) -> Kind:
    """Return the kind of a fold."""
    return fold.config.head.kind, fold.config.shots


def _sets_a_kind(key: str) -> bool:
    """Whether a swept key, or a part of it, says of what kind the folds are, or how many."""
    return any(f"{name}.".startswith(f"{key}.") for name in ("head.kind", "support.files", "good"))


def _count(prepared: Prepared, trials: Iterable[tuple[Values, int]]) -> Counter[Kind]:
    counts: Counter[Kind] = Counter()
    for values, count in trials:
        for fold in prepared.folds(configuration(prepared.plan, values)):
            counts[kind_of(fold)] += count
    return counts


class Eta:
    """Seconds left: what is missing is built, then the folds are run, each as long as those like it took here.

    A fold that a store had takes no time. Nothing is said before a fold was run: what one takes is not known.

    Args:
        folds: ahead, by kind.
        missing: artifacts to be built, by kind.
        workers: how many of all these are done at once.
    """

    def __init__(self, folds: Mapping[Kind, int], missing: Mapping[str, int], *, workers: int) -> None:
        self._folds, self._missing, self._workers = Counter(folds), Counter(missing), workers
        self._taken: dict[Kind, tuple[int, float]] = {}
        self._built: Mapping[str, tuple[int, float]] = {}

    def fold(self, kind: Kind, seconds: float | None, *, reused: bool) -> None:
        """Count a fold that has finished; `seconds` as it took, None if it failed."""
        self.saved(Counter({kind: 1}))
        if seconds is not None and not reused:
            count, total = self._taken.get(kind, (0, 0.0))
            self._taken[kind] = count + 1, total + seconds

    def saved(self, folds: Counter[Kind]) -> None:
        """Take off folds that need not be run any more."""
        for kind, count in folds.items():
            foreseen = kind if self._folds[kind] > 0 else UNKNOWN
            self._folds[foreseen] = max(0, self._folds[foreseen] - count)

    def built(self, builds: Mapping[str, tuple[int, float]]) -> None:
        """Take note of what this run has built so far: number and seconds by kind."""
        self._built = builds

    def seconds(self) -> float | None:
        """Return the seconds that are left; None before a fold was run."""
        if not any(self._folds.values()):
            return 0.0
        if not self._taken:
            return None
        return (self._add_up(self._folds, self._taken) + self._builds()) / self._workers

    def _builds(self) -> float:
        left = {kind: max(0, number - self._built.get(kind, (0, 0.0))[0]) for kind, number in self._missing.items()}
        return self._add_up(left, self._built)

    @staticmethod
    def _add_up(left: Mapping[Any, int], taken: Mapping[Any, tuple[int, float]]) -> float:
        """Return the seconds of what is left, as those like it have taken; where there are none, as the average."""
        count, spent = (sum(each) for each in zip((0, 0.0), *taken.values(), strict=True))
        average = spent / count if count else 0.0
        means = {kind: seconds / number for kind, (number, seconds) in taken.items() if number}
        return sum(number * means.get(kind, average) for kind, number in left.items())
