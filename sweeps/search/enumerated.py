"""Enumerated searches, whose trials are known from the start: a grid and a list."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from functools import cached_property

from sweeps.plan.configurations import base_values, listed_values
from sweeps.plan.space import Values, points
from sweeps.search.base import Proposal, Proposer
from sweeps.search.distributions import as_text


class Enumerated(Proposer):
    """All trials are known from the start: the base, then the others; one that comes again is not run again."""

    _next = 0

    @abstractmethod
    def others(self) -> Iterable[Values]:
        """List the trials after the base, in order; the base may be among them."""

    @cached_property
    def _points(self) -> list[Values]:
        base = base_values(self.plan)
        return list({as_text(point): point for point in [base, *self.others()]}.values())

    def propose(self) -> Proposal | None:
        """Give the next of them."""
        if not self.left():
            return None
        self._next += 1
        return Proposal(self._next - 1, self._points[self._next - 1])

    def replay(self, number: int, values: Values) -> None:
        """Go on after it."""
        self._next = max(self._next, number + 1)

    def left(self) -> int:
        """Count or list those that have not come yet."""
        return max(0, self.count() - self._next)

    def foreseen(self) -> list[Values]:
        """Count or list those that have not come yet."""
        return self._points[self._next :]

    def count(self) -> int:
        """Count the base and the others."""
        return len(self._points)


class GridSearch(Enumerated):
    """Every combination of the choices, the last key fastest; a key whose condition is not met does not multiply."""

    def others(self) -> Iterable[Values]:
        """List the grid's points."""
        return points(self.plan.space, self.plan.base)


class ListSearch(Enumerated):
    """The plan's `configurations`, in their order."""

    def others(self) -> Iterable[Values]:
        """Give the list, with the base's values where an entry is silent."""
        return listed_values(self.plan)
