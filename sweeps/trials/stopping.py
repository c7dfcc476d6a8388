"""Early stopping of trials: Tune's scheduler hook, told fold by fold, and the rule that `search.stopping` names.

Where all trials are known beforehand (a grid, a list, random draws) folds are judged in the plan's order, trial after
trial and fold after fold, whatever the order in which they arrive (`InOrder`): who is stopped, and after which fold,
is the same on any machine, and after a kill. What has run beyond that has no row; the store keeps it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from typing import Any

from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule

from cluster.folds import Fold, Outcome
from fsamc.counting import counted
from sweeps.plan.settings import Plan, Search
from sweeps.results.objective import fold_score, has_say
from sweeps.results.reader import TrialRecord
from sweeps.search import Proposer
from sweeps.search.distributions import as_text
from sweeps.statistics.fold_weights import Place
from sweeps.trials.in_order import InOrder
from sweeps.trials.intensify import Intensify
from sweeps.trials.proved import BASE, Proved, base_scores, drawn
from sweeps.trials.racing import Race, Rule, Standings
from sweeps.trials.trial import NotPickled


@dataclass(frozen=True)
class _Trial:
    """Stand-in for a trial: its id, which is all that Tune's schedulers read. Tune has no trials of earlier runs."""

    trial_id: str


class Tunes(Rule):
    """One of Tune's own schedulers, told the mean over the folds so far, with their number for the time.

    Args:
        scheduler: with time_attr `folds`, metric `mean` and mode `max`; it must not pause trials, which would start
            them anew.
        name: of the rule, for people.
    """

    def __init__(self, scheduler: FIFOScheduler, standings: Standings, name: str) -> None:
        self._scheduler: Any = scheduler  # which is given less than it is declared to take
        self._standings, self._name = standings, name
        self._entered: set[int] = set()

    def tell(self, trial: int) -> str | None:
        """Ask the scheduler."""
        seen = _Trial(str(trial))
        if trial not in self._entered:
            self._entered.add(trial)
            self._scheduler.on_trial_add(None, seen)
        mean, folds = self._standings.mean(trial), len(self._standings.scores[trial])
        said = self._scheduler.on_trial_result(None, seen, {"folds": folds, "mean": mean})
        stop = said == FIFOScheduler.STOP and trial != 0 and not self._standings.complete(trial)
        return f"{self._name} over {counted(folds, 'fold')}, with {100 * mean:.1f} % on average" if stop else None


class EarlyStopping(NotPickled, FIFOScheduler):
    """Tune's scheduler of a sweep: first come, first served, and stops trials by a rule.

    Args:
        plan: names the rule, and the objective that scores a fold.
        folds: of a trial, usually.
        averaged: by number of shots, the categories that averages are over (`Prepared.averaged`); all where empty.

    Attributes:
        reasons: why a trial was stopped, by its number.
        estimates: what it was taken for at that moment (`Standings.estimate`). Later, others may have come further, and
            how far depends on the machine.
        standings: who has scored what.
        error: what was raised here and nobody expects, as `Recorder.error`.
    """

    def __init__(self, plan: Plan, *, folds: int, averaged: Mapping[int, Collection[str]] | None = None) -> None:
        super().__init__()
        self._plan, self._averaged = plan, averaged or {}
        self.standings = Standings()
        self.reasons: dict[int, str] = {}
        self.estimates: dict[int, float] = {}
        self.error: Exception | None = None
        self._rule = make_rule(plan.search, self.standings, folds)
        self._failed: set[int] = set()
        listed, self._proved = plan.search.algorithm != "optuna", plan.search.stops_by == "proved"
        self._line = InOrder(trials=listed) if self._rule and (listed or self._proved) else None
        self._judged: list[tuple[int, Outcome]] = []

    def order(self, values: Mapping[str, Any], folds: Sequence[Fold]) -> list[Fold]:
        """Return a trial's folds in the order in which they are judged: drawn at random where the rule goes by that."""
        if not self._proved:
            return list(folds)
        by_place = {fold_place(fold): fold for fold in folds}
        seeds = (self._plan.search.seed, "order of folds", as_text(values))
        order = drawn([*self._with_say(folds)], base_scores(self.standings), self._plan.search.stopping, *seeds)
        return [by_place[place] for place in dict.fromkeys([*order, *by_place])]

    def waits(self) -> bool:
        """Whether no trial can begin yet: its folds are drawn by what the base lost, which has not ended."""
        return self._proved and self._line is not None and self._line.expects(BASE)

    def enter(self, number: int, values: Mapping[str, Any], folds: Sequence[Fold]) -> None:
        """Expect a trial, perhaps without folds, after those that were entered before."""
        if number in self.standings.planned:
            return
        folds = self.order(values, folds)
        self.standings.enter(number, self._with_say(folds))
        if self._line:
            self._line.enter(number, map(fold_place, folds))

    def over(self) -> bool:
        """Whether no trial could end above the best one by what makes a difference, so that none need be proposed.

        Not where trials are known beforehand: each of these then has a fold, whatever was under way.
        """
        board, search = self.standings, self._plan.search
        if search.until == "budget" or search.algorithm != "optuna" or board.best is None:
            return False
        return round(board.mean(board.best) + search.stopping.margin, 12) >= 1

    def left(self, proposer: Proposer) -> int:
        """Count the trials that are still to be proposed."""
        return 0 if self.over() else proposer.left()

    def lost(self, number: int) -> None:
        """Wait no longer for a trial that ended without its folds."""
        if self._line:
            self._line.end(number)
            self._judge_what_came()

    def replay(self, trial: TrialRecord, folds: Sequence[Fold], scores: Mapping[Place, float]) -> None:
        """Take in a trial that an earlier run has brought to its end: its folds, and the scores of those that ran."""
        self.standings.enter(trial.number, self._with_say(self.order(trial.values, folds)))
        for fold in self.standings.planned[trial.number]:
            if fold in scores:
                self._tell(trial.number, fold, scores[fold])

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop, or continue. Tune asks here before the recorder writes the fold down and before a new one starts."""
        try:
            return self._decide(trial, result)
        except Exception as error:
            self.error = self.error or error
            raise

    def judged(self) -> list[tuple[int, Outcome]]:
        """Give the outcomes, and whose, that have been judged since this was last asked: they belong in the tables."""
        judged, self._judged = self._judged, []
        return judged

    def _decide(self, trial: Any, result: dict[str, Any]) -> str:
        outcome: Outcome | None = result.get("outcome")
        number = trial.config["number"]
        if outcome is not None:
            self.enter(number, trial.config["values"], list(trial.config["folds"]))
            if self._line is None:
                self._judge(number, outcome)
            else:
                self._line.come(number, fold_place(outcome.fold), outcome)
                self._judge_what_came()
        return self.STOP if number in self.reasons else self.CONTINUE

    def _judge_what_came(self) -> None:
        assert self._line is not None
        while came := self._line.take():
            self._judge(*came)

    def _judge(self, number: int, outcome: Outcome) -> None:
        """Enter a fold into the standings, and hear what the rule says of its trial."""
        self._judged.append((number, outcome))
        if outcome.result is None:
            self._failed.add(number)
            return
        place, score = fold_place(outcome.fold), fold_score(self._plan, outcome.result)
        if place in self.standings.scores[number]:  # the trial's process died and starts again
            return
        if place not in self.standings.planned[number] or isnan(score):
            return
        reason = self._tell(number, place, score)
        if reason is not None and number not in self._failed:  # a failure must not pass unnoticed
            self.reasons[number], self.estimates[number] = reason, self.standings.estimate(number)
            if self._line:
                self._line.end(number)

    def _with_say(self, folds: Iterable[Fold]) -> Iterator[Place]:
        """Yield the identities of the folds that count in the objective's average (`has_say`)."""
        for place in map(fold_place, folds):
            category, _, _, shots = place
            averaged = not self._averaged or category in self._averaged.get(shots, ())
            if averaged and has_say(self._plan, category, shots):
                yield place

    def _tell(self, number: int, fold: Place, score: float) -> str | None:
        self.standings.tell(number, fold, score)
        return self._rule.tell(number) if self._rule else None


def make_rule(search: Search, standings: Standings, folds: int) -> Rule | None:
    """Make the rule that the plan's `search.stopping` names, for trials of so many folds; None if it stops none."""
    asked = search.stopping
    watched: dict[str, Any] = {"time_attr": "folds", "metric": "mean", "mode": "max"}
    grace, most = min(asked.fewest_folds, max(1, folds)), max(1, folds)
    decided = search.until == "decided"
    if search.stops_by == "race":
        known: dict[str, Any] = {"confidence": asked.confidence, "fewest": asked.fewest_folds, "spread": asked.spread}
        return Race(standings, **known, margin=asked.margin if decided else 0.0)
    if search.stops_by == "intensify":
        return Intensify(standings, margin=asked.margin if decided else None)
    if search.stops_by == "proved":
        trials = 1 if search.algorithm != "optuna" else search.trials - 1
        return Proved(standings, asked, trials=trials)
    if search.stops_by == "asha":
        halving = AsyncHyperBandScheduler(
            **watched, grace_period=grace, max_t=most, reduction_factor=asked.reduction, stop_last_trials=False
        )
        return Tunes(halving, standings, f"not among the best {1 / asked.reduction:.0%} of trials")
    if search.stops_by == "median":
        never: Any = inf  # pause
        median = MedianStoppingRule(
            **watched, grace_period=grace, min_samples_required=asked.fewest_trials, min_time_slice=never
        )
        return Tunes(median, standings, "below the median of the other trials")
    return None


def fold_place(fold: Fold) -> Place:
    """Return what identifies a fold within any trial: category, seed, draw and shots."""
    return fold.category, fold.seed, fold.draw, fold.config.shots
