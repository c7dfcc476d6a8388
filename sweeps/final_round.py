"""Round of a final: the finalists' folds are run, and their tables written once all are there.

A fold's result is in a store before it is told, so an interrupted final goes on where it was, to the same tables.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from cluster.fold_service import FoldRunner
from cluster.folds import Materials, Outcome
from cluster.runtime import run_folds, running
from fsamc.counting import counted
from fsamc.errors import BadInput
from sweeps.checks.prepare import Prepared
from sweeps.finals.final_tables import NOTE, read_final, write_final
from sweeps.finals.finalists import final_folds, final_of, finalists
from sweeps.results.folder import SweepFolder
from sweeps.results.usage import Usage
from sweeps.trials.interrupts import BUDGET, GO_ON, Interrupts
from sweeps.trials.status import MEND
from sweeps.trials.stopping import fold_place


@dataclass(frozen=True, kw_only=True)
class FinalRound:
    """The final of one sweep that has ended.

    Attributes:
        folder: OUT.
        prepared: the sweep's plan and its data, with the images that are held out.
        shared: what the sweep's folds share.
    """

    folder: SweepFolder
    prepared: Prepared
    shared: Materials

    def is_over(self) -> bool:
        """Whether there is nothing to run: no final is asked for or possible, or its tables are there."""
        if final_of(self.prepared) is None or not self.folder.has_rows():
            return True
        try:
            there = read_final(self.folder.root, self.folder.notes)
        except BadInput:
            return False
        return there is not None and self.folder.notes[NOTE]["trials"] == self.finalists()

    def finalists(self) -> list[int]:
        """Return the trials of the final, best first."""
        saved = self.folder.saved
        return finalists(self.prepared.plan, saved.folds, saved.measured)

    def run(self, usage: Usage, interrupts: Interrupts, *, tell: Callable[[str], object]) -> tuple[str, str]:
        """Run all folds, on a Ray that is up, and write the tables.

        Args:
            usage: counts the folds.
            interrupts: may end it early.
            tell: is told how far it is.

        Returns the sweep's status and what is left to do, as `sweep_status`.
        """
        final, ended = final_of(self.prepared), ("interrupted", GO_ON)
        assert final is not None, "a sweep without a final is over"
        shared = replace(self.shared, categories=final.categories)
        with running(shared) as runner, interrupts.ending(lambda: runner.halt(timeout=10)):
            ended = self._run(final, runner, usage, interrupts, tell)
        return ended

    def _run(
        self,
        final: Prepared,
        runner: FoldRunner,
        usage: Usage,
        interrupts: Interrupts,
        tell: Callable[[str], object],
    ) -> tuple[str, str]:
        values = {record.number: record.values for record in self.folder.records()}
        folds = {number: final_folds(final, values[number]) for number in self.finalists()}
        whose = {id(fold): number for number, of_trial in folds.items() for fold in of_trial}
        every, size = [fold for of_trial in folds.values() for fold in of_trial], counted(len(whose), "fold")
        done: list[Outcome] = []
        for outcome in run_folds(every, runner, at_once=self.shared.workers, retries=final.plan.resources.retries):
            if outcome.fatal:
                return "stopped", f"{outcome.error}; {MEND}"
            usage.add(outcome)
            done.append(outcome)
            tell(f"final: {len(done)} of {size}, {counted(len(folds), 'trial')}")
        if len(done) < len(every):
            paused = f"{BUDGET} after {len(done)} of {size} of the final; the same command goes on"
            return ("paused", paused) if interrupts.reason == BUDGET else ("interrupted", GO_ON)
        if failed := [outcome for outcome in done if outcome.result is None]:
            again = f"the first since {failed[0].error}; the same command tries again"
            return "failed", f"{len(failed)} of {size} of the final failed, {again}"
        outcomes: dict[int, list[Outcome]] = {number: [] for number in folds}
        for outcome in sorted(done, key=lambda one: fold_place(one.fold)):
            outcomes[whose[id(outcome.fold)]].append(outcome)
        tables = write_final(self.folder.root, self.prepared.plan, values, outcomes, partial(_group, final))
        self.folder.note(tables)
        return "done", ""


def _group(final: Prepared, category: str, image: str) -> str:
    """Return the physical part that an image shows."""
    return final.categories[category].group(image)
