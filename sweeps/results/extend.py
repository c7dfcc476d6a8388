"""Extension of a sweep that is there by more trials: `--extend N`.

The new number of trials is written to OUT's identity.json, with the plan's hash, in one piece and before any work
starts. An extension is open until the sweep is done: the same command goes on with it and adds nothing.
"""

from __future__ import annotations

from pathlib import Path

from fsamc.errors import BadInput
from sweeps.plan.settings import Plan
from sweeps.results.identity import read_identity


def with_trials(plan: Plan, trials: int) -> Plan:
    """Change the plan's number of trials."""
    return plan.model_copy(update={"search": plan.search.model_copy(update={"trials": trials})})


def extended(plan: Plan, out: Path, more: int) -> Plan:
    """Give the plan of the sweep in OUT `more` trials, or leave it where an extension by as many is open.

    `plan`: with all extensions so far.

    Raises BadInput where there is nothing to extend, or an extension by another number is open.
    """
    was = read_identity(out)
    if was is None:
        raise BadInput(f"--extend {more}: {out} holds no sweep to extend; leave out --extend, or give its folder")
    if plan.search.algorithm in ("grid", "list") or not plan.space:
        reason = f"a {plan.search.algorithm}" if plan.space or plan.configurations else "a plan without a space"
        raise BadInput(
            f"--extend {more}: {reason} has all of its trials; change the plan and give another --out: folds that are "
            "finished are taken from the cache"
        )
    if was.extending not in (0, more):
        raise BadInput(
            f"--extend {more}: {out} is being extended by {was.extending}; finish that first: fsamc sweep --out {out}"
        )
    return plan if was.extending else with_trials(plan, plan.search.trials + more)
