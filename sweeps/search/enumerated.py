"""Enumerated searches, whose trials are known from the start: a grid and a list."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator

from sweeps.plan.configurations import base_values, listed_values
from sweeps.plan.settings import Plan
from sweeps.plan.space import Values, every_value, points, weighed_points
from sweeps.search.base import Proposal, Proposer
from sweeps.search.distributions import as_text


class Enumerated(Proposer):
    """Search whose trials are known from the start: the base, then the others without the base."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._coming = enumerate(self.foreseen())
        self._proposed: set[int] = set()

    @abstractmethod
    def others(self) -> Iterable[Values]:
        """Yield the trials after the base, in order and each once; the base may be among them."""

    def foreseen(self) -> Iterator[Values]:
        """Yield the base, then the others."""
        base = base_values(self.plan)
        yield base
        yield from (values for values in self.others() if as_text(values) != as_text(base))

    def propose(self) -> Proposal | None:
        """Return the next trial that was not proposed yet; one that a damaged OUT lost comes again under its number."""
        for number, values in self._coming:
            if number not in self._proposed:
                self._proposed.add(number)
                return Proposal(number, values)
        return None

    def replay(self, number: int, values: Values) -> None:
        """Do not propose it again."""
        self._proposed.add(number)

    def left(self) -> int:
        """Count those that have not come yet."""
        return max(0, self.count() - len(self._proposed))

    def count(self) -> int:
        """Count the base and the others."""
        return sum(count for _, count in self.counted_by(()) or ())


class GridSearch(Enumerated):
    """Every combination of the choices, the last key fastest; a key whose condition is not met does not multiply."""

    def others(self) -> Iterable[Values]:
        """Yield the grid's points."""
        return points(self.plan.space, self.plan.base)

    def counted_by(self, keys: Collection[str]) -> Iterable[tuple[Values, int]]:
        """Yield a point for each combination of the keys' values, and how many have it: counted, not listed."""
        space, base = self.plan.space, base_values(self.plan)
        inside = all(as_text(value) in map(as_text, every_value(space[key])) for key, value in base.items())
        return [*([] if inside else [(base, 1)]), *weighed_points(space, self.plan.base, keys)]


class ListSearch(Enumerated):
    """The plan's `configurations`, in their order."""

    def others(self) -> Iterable[Values]:
        """Yield the list, with the base's values where an entry is silent."""
        return listed_values(self.plan)
