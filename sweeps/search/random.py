"""Random search: independent draws, each configuration once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import numpy as np

from fsamc.seeds import numpy_generator
from sweeps.plan.configurations import base_values
from sweeps.plan.settings import Plan
from sweeps.plan.space import Values, settle
from sweeps.search.base import distinct
from sweeps.search.distributions import as_text, value_of_share
from sweeps.search.enumerated import Enumerated


def draw(plan: Plan, generator: np.random.Generator) -> Values:
    """Draw a configuration. Each key takes one random number, used or not: no value depends on another's condition."""
    shares = {key: generator.random() for key in plan.space}
    return settle(plan.space, plan.base, lambda key, distribution: value_of_share(distribution, shares[key]))


class RandomSearch(Enumerated):
    """Independent draws. Trial n is the same whatever `search.trials` is; what has come before is drawn again."""

    def others(self) -> Iterator[Values]:
        """Yield the draws after the base, each configuration once."""
        seen = {as_text(base_values(self.plan))}
        for place in range(1, distinct(self.plan)):
            for attempt in count():
                parts = ("random search", place, attempt) if attempt else ("random search", place)
                values = draw(self.plan, numpy_generator(self.plan.search.seed, *parts))
                if as_text(values) not in seen:
                    break
            seen.add(as_text(values))
            yield values

    def count(self) -> int:
        """Count the trials without drawing them."""
        return distinct(self.plan)
