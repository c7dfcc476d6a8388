"""Proposers of configurations: a grid, a list, random draws or Optuna. Trial 0 is always the plan's base itself."""

from __future__ import annotations

from sweeps.plan.settings import Plan
from sweeps.search.base import Home, Proposal, Proposer
from sweeps.search.enumerated import Enumerated, GridSearch, ListSearch
from sweeps.search.random import RandomSearch

__all__ = ["GridSearch", "Home", "ListSearch", "Proposal", "Proposer", "check_search", "make_proposer"]


def make_proposer(plan: Plan, home: Home | None = None) -> Proposer:
    """Make the proposer that `search.algorithm` names.

    Args:
        plan: with its space.
        home: the sweep that asks; without one nothing is kept, and what is asked is forgotten with the proposer.

    Raises:
        BadInput: the sampler cannot search this space, or the study cannot be used.
    """
    if plan.search.algorithm == "optuna":
        from sweeps.search.optuna import Optuna  # takes a second that other sweeps need not spend

        return Optuna(plan, home)
    enumerated: dict[str, type[Enumerated]] = {"grid": GridSearch, "list": ListSearch, "random": RandomSearch}
    return enumerated[plan.search.algorithm](plan)


def check_search(plan: Plan, home: Home) -> None:
    """Raise BadInput for what would stop the search of this plan; writes nothing."""
    make_proposer(plan)
    if plan.search.algorithm == "optuna":
        from sweeps.search.shared_study import check_study

        check_study(plan, home)
