"""What a prior from earlier sweeps does to a search, replayed on the recorded table: a good one, and one that misleads.

    python -m tests.bench.bench_prior

The searches are those of `bench_search`, with the race. Counted are the folds until the choice is within a point of
the best. The prior is the best configurations on a single category of the table, by turns, as from a sweep on another
product; the best of all; or the worst of all, which is what an adversary would write.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping

import numpy as np

from sweeps.plan.search_settings import Stopping
from sweeps.search import make_proposer
from sweeps.search.optuna import Optuna
from sweeps.search.prior import Prior
from sweeps.trials.racing import Standings
from sweeps.trials.stopping import make_rule
from tests.bench.bench_search import RECORDED, Key, Replay, Table, read_table, until_near

BEST = 4  # configurations of a prior


def searched(table: Table, seed: int, prior: Prior | None, *, share: float = 1 / 2) -> Replay:
    """Search with a prior, until a share of the grid's folds is spent."""
    plan, standings = table.plan("optuna", seed, Stopping()), Standings()
    rule = make_rule(plan.search, standings, max(map(len, table.scores.values())))
    proposer = make_proposer(plan)
    assert isinstance(proposer, Optuna)
    proposer._prior = prior
    return Replay(table, proposer, rule, standings).run(int(share * table.n_folds))


def priors(table: Table) -> Mapping[str, Callable[[int], Prior | None]]:
    """Priors by name, for each seed."""
    ranked = sorted(table.scores, key=table.average)
    categories = sorted({fold[0] for fold in table.scores[ranked[0]]})

    def of(keys: list[Key]) -> Prior:
        return Prior([table.values[key] for key in keys])

    def on_one(seed: int) -> Prior:
        name = categories[seed % len(categories)]

        def score(key: Key) -> float:
            return float(np.mean([score for fold, score in table.scores[key].items() if fold[0] == name]))

        return of(sorted(table.scores, key=score)[-BEST:])

    return {
        "no prior": lambda _: None,
        "the worst of all": lambda _: of(ranked[:BEST]),
        "the best on one category": on_one,
        "the best of all": lambda _: of(ranked[-BEST:]),
    }


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=20, help="how many, with seeds 0, 1, ...")
    replays, table = parser.parse_args().replays, read_table(RECORDED)
    print(f"{replays} replays on {RECORDED}: folds until the choice is within a point of the best")
    for name, prior in priors(table).items():
        needed = [until_near(table, searched(table, seed, prior(seed))) for seed in range(replays)]
        print(
            f"{name:26} {np.median(needed):5.0f} median {np.mean(needed):7.1f} mean {max(needed):5.0f} at most",
            flush=True,
        )


if __name__ == "__main__":
    main()
