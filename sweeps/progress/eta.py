"""What lies ahead of a sweep: folds by what they are like, what is to be built, and about how long it will take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from fsamc.fold.config import FoldConfig
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import configuration
from sweeps.results.reader import TrialRecord
from sweeps.search import Proposer

Kind = tuple[str, int]  # head and shots: what the time of a fold depends on most
UNKNOWN: Kind = ("", 0)


def folds_of(prepared: Prepared, records: Iterable[TrialRecord]) -> Counter[Kind]:
    """How many folds of each kind the trials have."""
    return _count(prepared, (configuration(prepared.plan, record.values) for record in records))


def folds_ahead(prepared: Prepared, proposer: Proposer, records: Iterable[TrialRecord]) -> Counter[Kind]:
    """Folds of the trials that are not done, by kind; where nobody knows them yet, as many as the base has."""
    ahead = folds_of(prepared, (record for record in records if not record.done))
    foreseen = proposer.foreseen()
    if foreseen is None:
        return ahead + Counter({UNKNOWN: proposer.left() * len(prepared.folds(prepared.plan.base))})
    return ahead + _count(prepared, (configuration(prepared.plan, values) for values in foreseen))


def _count(prepared: Prepared, configs: Iterable[FoldConfig]) -> Counter[Kind]:
    found: Counter[Kind] = Counter()
    for config in configs:
        found[config.head.kind, config.shots] += len(prepared.folds(config))
    return found


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
        """A fold was told; `seconds` as it took, None if it failed."""
        known = kind if self._folds[kind] > 0 else UNKNOWN
        self._folds[known] = max(0, self._folds[known] - 1)
        if seconds is not None and not reused:
            count, total = self._taken.get(kind, (0, 0.0))
            self._taken[kind] = count + 1, total + seconds

    def saved(self, folds: Counter[Kind]) -> None:
        """So many folds need not be run."""
        for kind, count in folds.items():
            known = kind if self._folds[kind] > 0 else UNKNOWN
            self._folds[known] = max(0, self._folds[known] - count)

    def built(self, builds: Mapping[str, tuple[int, float]]) -> None:
        """What this run has built so far: number and seconds by kind."""
        self._built = builds

    def seconds(self) -> float | None:
        """Seconds left, or None."""
        if not any(self._folds.values()):
            return 0.0
        if not self._taken:
            return None
        return (self._add_up(self._folds, self._taken) + self._builds()) / self._workers

    def _builds(self) -> float:
        left = {kind: max(0, number - self._built.get(kind, (0, 0.0))[0]) for kind, number in self._missing.items()}
        return self._add_up(left, self._built)

    @staticmethod
    def _add_up(left: Mapping[Any, int], known: Mapping[Any, tuple[int, float]]) -> float:
        """Seconds of what is left; of a kind that nothing is known of, each takes as long as one does on average."""
        count, spent = (sum(each) for each in zip((0, 0.0), *known.values(), strict=True))
        average = spent / count if count else 0.0
        means = {kind: seconds / number for kind, (number, seconds) in known.items() if number}
        return sum(number * means.get(kind, average) for kind, number in left.items())
