"""What a search finds for the folds that it spends, replayed on a table in which every fold has been run already.

    python -m tests.bench.bench_search                            the recorded tables, see tests/data/search
    python -m tests.bench.bench_search --table OUT/folds.csv      any grid of choices that has run to its end

Proposals and the race are the product's own, called in one process without Ray, one trial at a time. A configuration
that is proposed again costs nothing, as in a sweep, which finds its folds in the store. What counts is the average over
the whole table of the configuration that would be chosen: the best complete trial. Every replay starts from a base
drawn at random, for the product's own defaults may be among the best, and leave nothing to find. Printed are the mean
over the replays at several shares of the grid's folds, and how many choices lie within a point of the best.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from fsamc.config.dotted import updated
from fsamc.fold.config import FoldConfig
from fsamc.seeds import numpy_generator
from sweeps.checks.prepare import seed_draw_pairs
from sweeps.plan.search_settings import Stopping
from sweeps.plan.settings import Distribution, Plan, Search
from sweeps.results import tables
from sweeps.results.reader import typed_folds
from sweeps.results.rows import read_rows
from sweeps.search import Proposer, make_proposer
from sweeps.statistics.fold_weights import Place
from sweeps.trials.proved import drawn
from sweeps.trials.racing import Rule, Standings
from sweeps.trials.stopping import make_rule

TABLES = [Path(__file__).parents[1] / "data" / "search" / name for name in ("folds.csv", "defaults.csv")]
RECORDED, DEFAULTS = TABLES
SHARES = (1 / 32, 1 / 16, 1 / 8, 0.15, 3 / 16, 1 / 4, 3 / 8, 1 / 2)
WITHIN = 0.01
RULES = ["proved", "intensify", "asha", "median"]

Key = tuple[str, ...]  # the swept values of a configuration, as text


@dataclass(frozen=True)
class Table:
    """Every configuration of a grid with the score of each of its folds, in the order in which a sweep runs them."""

    keys: list[str]
    values: dict[Key, dict[str, Any]]
    scores: dict[Key, dict[Place, float]]

    @property
    def n_folds(self) -> int:
        """Of the whole grid."""
        return sum(map(len, self.scores.values()))

    def average(self, key: Key) -> float:
        """The truth about a configuration."""
        return sum(self.scores[key].values()) / len(self.scores[key])

    def plan(self, algorithm: str, seed: int, stopping: Stopping) -> Plan:
        """A plan whose space is the grid and whose base is drawn from it."""
        space = {key: Distribution(choice=_distinct(row[key] for row in self.values.values())) for key in self.keys}
        search = Search.model_validate(
            {"algorithm": algorithm, "trials": len(self.values), "seed": seed, "stopping": stopping}
        )
        drawn = int(numpy_generator("bench search base", seed).integers(len(self.values)))
        base = updated(FoldConfig(), list(self.values.values())[drawn])
        return Plan(name="replay", base=base, space=space, search=search)

    def key(self, values: Mapping[str, Any]) -> Key:
        """Where a proposal stands."""
        return tuple(repr(values[key]) for key in self.keys)


def read_table(path: Path) -> Table:
    """The folds.csv of a grid."""
    rows = read_rows(path)
    folds = tables.finished(typed_folds(rows))
    keys = tables.swept_keys(folds)
    values, scores = {}, {}
    where = [
        (category, seed, draw, shots)
        for seed, draw in seed_draw_pairs(sorted(set(folds["seed"])), sorted(set(folds["draw"])))
        for shots in sorted(set(folds["shots"]))
        for category in sorted(set(folds["category"]))
    ]
    for trial, of_trial in folds.groupby("trial"):
        first = rows[rows["trial"] == str(trial)].iloc[0]
        typed = {key: yaml.safe_load(first[key]) for key in keys}
        found = of_trial.set_index(tables.FOLD)["accuracy"]
        key = tuple(repr(typed[name]) for name in keys)
        values[key], scores[key] = typed, {fold: float(found[fold]) for fold in where if fold in found.index}
    return Table(keys, values, scores)


@dataclass
class Replay:
    """One search on a table.

    Attributes:
        spent: folds so far.
        chosen: (folds spent, true average of the choice) each time that the choice changed.
        stopped: configurations stopped early, and whether one would have ended level with the then best, or above it;
            above it by more than the margin where the rule has one.
    """

    table: Table
    proposer: Proposer
    rule: Rule | None
    standings: Standings
    spent: int = 0

    def __post_init__(self) -> None:
        self.chosen: list[tuple[int, float]] = []
        self.stopped: dict[Key, bool] = {}
        self._known: dict[Key, set[Place]] = {}
        self._keys: dict[int, Key] = {}

    def run(self, budget: int) -> Replay:
        """Spend so many folds, or fewer where nothing new is proposed any more."""
        while self.spent < budget and (proposal := self.proposer.propose()):
            self._trial(proposal.number, self.table.key(proposal.values), budget)
        return self

    def at(self, spent: int) -> float:
        """True average of what would be chosen after so many folds; of the base before there is a complete trial."""
        found = [average for folds, average in self.chosen if folds <= spent]
        return found[-1] if found else self.table.average(self._keys[0])

    def _trial(self, number: int, key: Key, budget: int) -> None:
        self._keys[number] = key
        known, scores = self._known.setdefault(key, set()), self.table.scores[key]
        self.standings.enter(number, self._order(key))
        for fold in self.standings.planned[number]:
            if fold not in known and self.spent == budget:
                return
            self.spent += fold not in known
            known.add(fold)
            self.standings.tell(number, fold, scores[fold])
            if self.rule and self.rule.tell(number):
                self._count_stopped(key)
                self.proposer.prune(number, self.standings.estimate(number), folds={})
                return
        self.proposer.tell(number, self.standings.mean(number))
        if self.standings.best == number:
            self.chosen.append((self.spent, self.table.average(key)))

    def _order(self, key: Key) -> list[Place]:
        """As a sweep has it: drawn where the rule goes by that, else as in the table."""
        folds, search = [*self.table.scores[key]], self.proposer.plan.search
        if search.stops_by != "proved":
            return folds
        base = self.table.scores[self._keys[0]] if len(self._keys) > 1 else {}
        return drawn(folds, base, search.stopping, search.seed, "order of folds", key)

    def _count_stopped(self, key: Key) -> None:
        assert self.standings.best is not None
        search = self.proposer.plan.search
        margin = search.stopping.margin if search.stops_by == "proved" else 0.0
        gap = round(self.table.average(key) - self.table.average(self._keys[self.standings.best]), 12)
        self.stopped[key] = gap > margin if margin else gap >= 0


def replay(table: Table, algorithm: str, seed: int, stopping: Stopping, *, share: float) -> Replay:
    """Search until `share` of the grid's folds are spent."""
    plan = table.plan(algorithm, seed, stopping)
    standings = Standings()
    rule = make_rule(plan.search, standings, max(map(len, table.scores.values())))
    return Replay(table, make_proposer(plan), rule, standings).run(int(share * table.n_folds))


def hits(table: Table, replays: list[Replay], spent: int) -> int:
    """In how many replays the choice after so many folds lies within a point of the best."""
    best = max(map(table.average, table.scores))
    return sum(best - one.at(spent) <= WITHIN + 1e-12 for one in replays)


def until_near(table: Table, one: Replay) -> float:
    """Folds after which the choice lay within a point of the best; inf if it never did."""
    best = max(map(table.average, table.scores))
    return next((folds for folds, average in one.chosen if best - average <= WITHIN + 1e-12), inf)


def main() -> None:
    """Parse, replay, print."""
    options = _options()
    for path in options.table:
        _contest(path, options)


def _contest(path: Path, options: argparse.Namespace) -> None:
    table = read_table(path)
    best = max(map(table.average, table.scores))
    near = sum(best - table.average(key) <= WITHIN for key in table.scores)
    print(f"{path}: {len(table.scores)} configurations, {table.n_folds} folds, {options.replays} replays")
    print(f"best {100 * best:.2f} %, {near} configurations within a point of it")
    print(f"{'folds spent':40}", *(f"{int(share * table.n_folds):>6}" for share in SHARES))
    for name, algorithm, stopping in _contestants(options):
        started = time.perf_counter()
        runs = [replay(table, algorithm, seed, stopping, share=SHARES[-1]) for seed in range(options.replays)]
        spent = [int(share * table.n_folds) for share in SHARES]
        print(f"{name:40}", *(f"{100 * sum(run.at(n) for run in runs) / len(runs):6.2f}" for n in spent), " % average")
        print(f"{'':40}", *(f"{hits(table, runs, n):6}" for n in spent), f" of {len(runs)} within a point")
        needed = [until_near(table, run) for run in runs]
        print(f"{'':40} within a point after {np.median(needed):.0f} folds (median), {max(needed):.0f} at most")
        stopped, wrong = sum(len(run.stopped) for run in runs), sum(sum(run.stopped.values()) for run in runs)
        if stopped:
            print(f"{'':40} {stopped / len(runs):.0f} stopped a replay, {wrong} of {stopped} wrongly")
        print(f"{'':40} {time.perf_counter() - started:.0f} s", flush=True)


def _contestants(options: argparse.Namespace) -> Iterator[tuple[str, str, Stopping]]:
    never = Stopping(kind="none")
    yield "random", "random", never
    yield "TPE", "optuna", never
    for confidence in options.confidence:
        yield f"TPE + race at {confidence}", "optuna", Stopping(kind="race", confidence=confidence)
    for kind in options.also:
        yield f"TPE + {kind}", "optuna", Stopping(kind=kind)


def _distinct(values: Iterator[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--table", type=Path, nargs="+", default=TABLES, help="folds.csv of grids that ran to their end"
    )
    parser.add_argument("--replays", type=int, default=20, help="how many, with seeds 0, 1, ...")
    default = Stopping().confidence
    parser.add_argument("--confidence", type=float, nargs="*", default=[default], help="of the race, one or several")
    parser.add_argument(
        "--also", nargs="*", default=["proved", "intensify"], choices=RULES, help="other ways of stopping"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
