"""Prior over a space, from the trials of earlier sweeps: the first trials of a search are drawn near the best of those.

As in PriorBand (Mallik et al. 2023), values are drawn around good ones, widely enough to leave them, and how long the
prior is listened to depends on how its trials do. Here that is counted: a trial of the prior that scores below the
median of the others is a miss, and after some more misses than hits the prior has no say any more. It only takes the
place of random draws, those of `search.startup`. So a bad prior costs a few trials, which a race ends early.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from fsamc.errors import BadInput
from sweeps.plan.configurations import base_values
from sweeps.plan.settings import Distribution, Plan
from sweeps.plan.space import Values, settle
from sweeps.results.reader import SweepReader
from sweeps.search.distributions import as_text, holds_value, share_of_value, value_of_share

PRIOR = "prior"  # in a study, the fact of a trial that was drawn so


@dataclass(frozen=True)
class Prior:
    """Good configurations of earlier sweeps.

    Attributes:
        good: values of the best trials of each sweep, by dotted key; those keys that this space has too.
    """

    good: Sequence[Values]

    def draw(self, plan: Plan, generator: np.random.Generator) -> Values:
        """Draw near one of the good trials; a key that it does not have is drawn from all of its range."""
        near = self.good[int(generator.integers(len(self.good)))]

        def pick(key: str, distribution: Distribution) -> Any:
            share = float(generator.random())
            if key not in near or generator.random() < plan.search.prior.stray:
                return value_of_share(distribution, share)
            if distribution.choice is not None:
                return next(value for value in distribution.choice if as_text(value) == as_text(near[key]))
            moved = share_of_value(distribution, near[key]) + plan.search.prior.spread * float(
                generator.standard_normal()
            )
            return value_of_share(distribution, min(max(moved, 0.0), 1 - 1e-9))

        return settle(plan.space, plan.base, pick)


def read_prior(plan: Plan) -> Prior | None:
    """Read what the sweeps in `search.prior` found; None where the plan names none.

    Raises BadInput for a folder that holds no finished trial, or none with a key of this space.
    """
    good: list[Values] = []
    for out in map(Path, plan.search.prior.sweeps):
        own = [values for one in _best_of(out, plan.search.prior.best) if (values := _shared(plan, one))]
        if not own:
            keys = ", ".join(plan.space)
            raise BadInput(f"search.prior: {out}: no trial there says anything of {keys}; leave it out")
        good += own
    return Prior(good) if good else None


def has_turn(scores: Iterable[tuple[bool, float | None]], *, proposed: int, startup: int, misses: int) -> bool:
    """Whether the next trial is the prior's.

    Args:
        scores: of the trials that have ended, whether each was the prior's, and its score; None where it failed.
        proposed: how many trials there are.
        startup: how many trials are drawn at random, but for the prior.
        misses: how many more of the prior's trials may score below the median of the others than above it.
    """
    if proposed >= startup:
        return False
    ended = list(scores)
    others = [score for priors, score in ended if score is not None and not priors]
    bar = median(others) if others else float("-inf")
    hits = [score is not None and score >= bar for priors, score in ended if priors]
    return hits.count(False) < misses + hits.count(True)


def _best_of(out: Path, most: int) -> list[Values]:
    """Return the values of a sweep's best trials, each key with its value, the base's own too."""
    saved = SweepReader(out)
    best = saved.board.loc[saved.board["complete"], "trial"].head(most)
    values = {record.number: record.values for record in saved.trials}
    return [{**base_values(saved.plan), **values[trial]} for trial in best]


def _shared(plan: Plan, values: Values) -> Values:
    return {key: values[key] for key in values if key in plan.space and holds_value(plan.space[key], values[key])}
