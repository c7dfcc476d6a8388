"""How often each way of stopping trials is wrong, and how many folds it takes to be right: see race_errors.

python -m tests.bench.bench_race                        1,000 replays of each null, some ten minutes
python -m tests.bench.bench_race --only "12 folds"      of the nulls whose name holds this, and no more
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from sweeps.plan.search_settings import Stopping
from tests.bench.bench_search import TABLES, read_table
from tests.bench.race_errors import Duel, coins, false_stops, folds_taken, lopsided, null, nulls, proved, real, ways

GAPS, FOLDS = (0.03, 0.05, 0.1, 0.2), (8, 12, 24, 48)


def main() -> None:
    """Parse, replay, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=1000, help="of each null")
    parser.add_argument("--only", default="", help="nulls by a part of their name; folds are not counted then")
    given = parser.parse_args()
    replays = given.replays
    print(f"false stops of {replays} trials that end just above the margin, in percent")
    for name, kind in _kinds().items():
        if given.only not in name:
            continue
        duels = nulls(kind, replays)
        wrong = {way: false_stops(run, duels) for way, run in ways().items()}
        print(f"{name:32}", *(f"{way} {100 * n / len(duels):5.1f}" for way, n in wrong.items()), sep="  ", flush=True)
    if not given.only:
        _print_folds(replays)


def _print_folds(replays: int) -> None:
    print("folds until a trial is stopped that is so far below, mean of", replays // 10)
    contestants = ways() | {"proved, 5 % over 19 trials": proved(Stopping(), trials=19)}
    for folds in FOLDS:
        for gap in GAPS:
            duels = [coins(np.random.default_rng(seed), folds, gap=gap) for seed in range(replays // 10)]
            taken = {way: folds_taken(run, duels) for way, run in contestants.items()}
            print(f"{folds:3} folds, {100 * gap:2.0f} points", *(f"{w} {n:5.1f}" for w, n in taken.items()), sep="  ")


def _kinds() -> dict[str, Callable[[np.random.Generator], Duel | None]]:
    kinds: dict[str, Callable[[np.random.Generator], Duel | None]] = {
        f"made up, {folds} folds": lambda rng, folds=folds: null(rng, coins(rng, folds))  # type: ignore[misc]
        for folds in FOLDS
    }
    for path in TABLES:
        table = [dict(scores) for scores in read_table(path).scores.values()]
        kinds[f"real, {path.stem}"] = lambda rng, table=table: null(rng, real(rng, table))  # type: ignore[misc]
    return kinds | {"ahead by one fold of 12": lambda rng: lopsided(rng, 12)}


if __name__ == "__main__":
    main()
