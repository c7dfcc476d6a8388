"""Averages of accuracies over draws, categories, shots and seeds, on plain numbers.

A trial has few folds. A sweep averages each trial a dozen times, and of so few pandas takes milliseconds each time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping
from math import fsum, nan, sqrt

AVERAGE = "average"
OVER = 0  # in place of a number of shots: the mean over them

Score = tuple[int, int, str, int, float]  # trial, shots, category, seed, accuracy; of one fold
Cell = tuple[int, int, str]  # trial; shots, or OVER; category, or AVERAGE
Averages = dict[Cell, dict[int, float]]  # accuracy by seed
Averaged = Mapping[int, Collection[str]]  # by number of shots, the categories that averages are over


def seed_averages(scores: Collection[Score], averaged: Averaged, stopped: Container[int] = ()) -> Averages:
    """Average per trial, shots, category and seed over draws; then over categories, over shots, and over both.

    OVER the shots: a category over those at which it is averaged (or has folds, if it is at none), AVERAGE over all.
    Nothing stands in for what is not there: a seed without a fold in each of the categories, or at each of the shots,
    has no mean over them, and a trial that was `stopped` early has no AVERAGE. Sums do not depend on the order.
    """
    draws = _gathered(((trial, shots, category), seed, score) for trial, shots, category, seed, score in scores)
    of_draws = {cell: {seed: mean_of(values) for seed, values in seeds.items()} for cell, seeds in draws.items()}
    counted = [cell for cell in of_draws if cell[2] in averaged.get(cell[1], ())]
    ranked = [cell for cell in counted if cell[0] not in stopped]
    averages = _means(of_draws, ranked, lambda cell: (cell[0], cell[1], AVERAGE), lambda cell: len(averaged[cell[1]]))
    somewhere = {name for names in averaged.values() for name in names}
    own = [*counted, *(cell for cell in of_draws if cell[2] not in somewhere)]
    numbers = {name: len({shots for _, shots, other in own if other == name}) for name in {cell[2] for cell in own}}
    over = _means(of_draws, own, lambda cell: (cell[0], OVER, cell[2]), lambda cell: numbers[cell[2]])
    average = _means(averages, averages, lambda cell: (cell[0], OVER, AVERAGE), lambda _: len(averaged))
    return of_draws | averages | over | average


def averaged_among(scores: Collection[Score], averaged: Averaged) -> dict[int, set[str]]:
    """Pick, of what averages are over, what has scores; where nothing was decided, what has some of every trial."""
    trials: dict[tuple[int, str], set[int]] = {}
    for trial, shots, category, *_ in scores:
        trials.setdefault((shots, category), set()).add(trial)
    every = len({trial for having in trials.values() for trial in having})
    among: dict[int, set[str]] = {}
    for (shots, category), having in trials.items():
        if category in averaged.get(shots, ()) if averaged else len(having) == every:
            among.setdefault(shots, set()).add(category)
    return among


def trial_average(scores: Collection[Score], averaged: Averaged) -> tuple[float, float]:
    """Average one trial's scores over what is `averaged_among` them: mean and std over seeds, NaN for none."""
    of_cells = seed_averages(scores, averaged_among(scores, averaged))
    average = next((seeds for (_, shots, name), seeds in of_cells.items() if (shots, name) == (OVER, AVERAGE)), {})
    return mean_of(average.values()), deviation_of(average.values())


def mean_of(values: Iterable[float]) -> float:
    """Return the mean, NaN left out; NaN of nothing."""
    present = [value for value in values if value == value]
    return fsum(present) / len(present) if present else nan


def deviation_of(values: Iterable[float]) -> float:
    """Return the sample standard deviation (n - 1), NaN left out; NaN of fewer than two."""
    present = [value for value in values if value == value]
    if len(present) < 2:
        return nan
    middle = mean_of(present)
    return sqrt(fsum((value - middle) ** 2 for value in present) / (len(present) - 1))


def _gathered(entries: Iterable[tuple[Cell, int, float]]) -> dict[Cell, dict[int, list[float]]]:
    """Collect the values of each cell by seed."""
    gathered: dict[Cell, dict[int, list[float]]] = {}
    for cell, seed, value in entries:
        gathered.setdefault(cell, {}).setdefault(seed, []).append(value)
    return gathered


def _means(
    scores: Averages, cells: Iterable[Cell], into: Callable[[Cell], Cell], expected: Callable[[Cell], int]
) -> Averages:
    """Take the mean over the `cells` that go `into` one, for each seed that has as many of them as `expected`."""
    cells = [*cells]
    gathered = _gathered((into(cell), seed, score) for cell in cells for seed, score in scores[cell].items())
    counts = {into(cell): expected(cell) for cell in cells}
    means = {
        cell: {seed: mean_of(values) for seed, values in seeds.items() if len(values) == counts[cell]}
        for cell, seeds in gathered.items()
    }
    return {cell: seeds for cell, seeds in means.items() if seeds}
