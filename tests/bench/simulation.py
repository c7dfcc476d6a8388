"""A sweep on a cluster that is not there: a discrete-event simulation of how its folds are handed out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import simpy

from sweeps.plan.settings import Plan
from sweeps.trials.tuner import side_by_side


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Seconds of one processor that a fold takes of the two processes through which all folds pass."""

    driver: float
    service: float


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Slots for folds, on so many nodes."""

    nodes: int
    slots: int  # of each node
    start: float = 4.0  # seconds until a node's worker has loaded what a fold needs


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: until the last fold was written down.
        share: of the throughput of slots that never wait.
        steady: the same without the start and the end, `steady_share`.
        driver: share of the time in which the driver was busy.
        trials: processes of trials at the same time.
    """

    seconds: float
    share: float
    steady: float
    driver: float
    trials: int


def steady_share(told: Sequence[tuple[float, int]], slots: int, seconds: float) -> float:
    """The share of ideal throughput, from when every slot could have had one fold until each has its last.

    Args:
        told: moments in seconds and how many folds had been written down by then, both rising.
        slots: for folds.
        seconds: of a fold.
    """
    last = told[-1][1]
    begin = next(mark for mark in told if mark[1] >= slots)
    end = next(mark for mark in told if mark[1] >= last - slots)
    return (end[1] - begin[1]) * seconds / (slots * (end[0] - begin[0])) if end > begin else math.nan


def simulate(
    plan: Plan,
    cluster: Cluster,
    costs: Costs,
    *,
    folds: int,
    per_trial: int,
    seconds: float,
    spread: float,
    seed: int = 0,
) -> Outcome:
    """Hand out `folds`, `per_trial` to a trial, each of `seconds` give or take the share `spread`.

    A trial has as many folds under way as the plan says, hears of one at a time, and only then asks for the next. Each
    fold is handed out by the service, one after the other; sleeps in a slot; and is written down by the driver, one
    after the other. The first fold of a slot waits until its worker has started.
    """
    workers = cluster.nodes * cluster.slots
    trials_in_all = math.ceil(folds / per_trial)
    at_once, trials = side_by_side(plan, workers=workers, folds=per_trial, left=trials_in_all)
    env, random = simpy.Environment(), Random(seed)
    service, driver = simpy.Resource(env), simpy.Resource(env)
    slots: simpy.Store = simpy.Store(env)
    slots.items = [cluster.start] * workers
    asleep, busy, written = [0.0], [0.0], list[tuple[float, int]]()

    def fold(told: simpy.Store) -> Iterator[Any]:
        free = yield slots.get()
        with service.request() as turn:
            yield turn
            yield env.timeout(costs.service)
        takes = seconds * (1 + random.uniform(-spread, spread))
        yield env.timeout(free + takes)
        asleep[0] += takes
        yield slots.put(0.0)
        yield told.put(None)

    def trial(count: int) -> Iterator[Any]:
        told: simpy.Store = simpy.Store(env)
        waiting = count
        for _ in range(min(at_once, count)):
            env.process(fold(told))
            waiting -= 1
        for _ in range(count):
            yield told.get()
            with driver.request() as turn:
                yield turn
                yield env.timeout(costs.driver)
                busy[0] += costs.driver
                written.append((env.now, len(written) + 1))
            if waiting:
                env.process(fold(told))
                waiting -= 1

    def one_after_the_other(counts: Iterator[int]) -> Iterator[Any]:
        for count in counts:
            yield env.process(trial(count))

    counts = iter([per_trial] * (trials_in_all - 1) + [folds - per_trial * (trials_in_all - 1)])
    env.run(env.all_of([env.process(one_after_the_other(counts)) for _ in range(trials)]))
    share = asleep[0] / workers / env.now
    return Outcome(
        seconds=env.now,
        share=share,
        steady=steady_share(written, workers, seconds),
        driver=busy[0] / env.now,
        trials=min(trials, trials_in_all),
    )
