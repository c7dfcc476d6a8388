"""Status of a sweep that has ended."""

from __future__ import annotations

from collections.abc import Container, Sequence
from pathlib import Path

from fsamc.counting import counted
from fsamc.errors import BadInput
from sweeps.results.reader import SweepReader, TrialRecord
from sweeps.trials.interrupts import BUDGET, GO_ON

MEND = "mend that and run the same command again"


def is_finished(out: Path) -> bool:
    """Whether the sweep in OUT has nothing left to run: it was done, is not being extended, and has lost nothing."""
    saved = SweepReader(out)
    try:
        if not saved.identity or saved.identity.extending or saved.notes.get("status") != "done":
            return False
        saved.check()
    except BadInput:  # what was lost is restored, or run again
        return False
    return all(record.done for record in saved.trials) and len(saved.trials) == saved.notes.get("trials")


def sweep_status(
    records: Sequence[TrialRecord],
    ended: Container[int],
    *,
    all_proposed: bool,
    trials: int,
    stopped_by: str | None,
    budget_spent: bool,
) -> tuple[str, str]:
    """Give the sweep's status, and say what is left to do; nothing where it is done.

    Args:
        records: the trials that have folds.
        ended: numbers of the trials that came to an end in this run, in whatever way.
        all_proposed: whether there are no more trials than those that were proposed.
        trials: how many there will be.
        stopped_by: why the sweep could not go on, if it could not.
        budget_spent: whether it ended early because its time was over.
    """
    if stopped_by:
        return "stopped", f"{stopped_by}; {MEND}"
    open_ones = any(record.number not in ended and not record.done for record in records)
    if open_ones or not all_proposed:
        if budget_spent:
            done = sum(record.done for record in records)
            return "paused", f"{BUDGET} after {done} of {counted(trials, 'trial')}; the same command goes on"
        return "interrupted", GO_ON
    if failed := sum(not record.done for record in records):
        again = "it" if failed == 1 else "them"
        return "failed", f"{failed} of {counted(len(records), 'trial')} failed; the same command tries {again} again"
    return "done", ""
