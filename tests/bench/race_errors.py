"""How often each way of stopping trials is wrong, and how many folds it takes to be right.

What is exchangeable: of any folds, nothing but the order in which they come, which the sweep draws itself; the same
images are queries in many folds, and a support that suits one trial may suit them all. Of two real trials the names
are, under the hypothesis that they do not differ: so a null is made of real folds, dependence and all, by exchanging
the two trials' scores fold by fold at random within (category, seed), until the challenger ends above the leader by
just more than the margin. It is then in no rule's interest to stop it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t, wilcoxon

from sweeps.plan.search_settings import Stopping
from sweeps.statistics.fold_weights import Place, mean_score
from sweeps.trials.proved import Proved, drawn
from sweeps.trials.racing import Race, Rule, Standings

Scores = dict[Place, float]
MARGIN = Stopping().margin


@dataclass(frozen=True)
class Duel:
    """A challenger and the leader that it is stopped by, or not; and the base, by what it lost folds are drawn."""

    challenger: Scores
    leader: Scores
    base: Scores

    @property
    def ahead(self) -> float:
        """By how much the challenger ends above the leader."""
        return mean_score(self.challenger) - mean_score(self.leader)


def coins(rng: np.random.Generator, folds: int, *, gap: float = 0.0, queries: int = 57) -> Duel:
    """Made-up folds of three categories: as hard for all trials, more or less; the challenger names less by `gap`."""
    places = [("abc"[n % 3], 1, n // 3, 2) for n in range(folds)]
    ease = np.clip(rng.normal(0.65, 0.15, folds), 0.1, 0.95)

    def scores(below: float) -> Scores:
        chance = np.clip(ease - below + rng.normal(0.0, 0.04, folds), 0.02, 0.98)
        return dict(zip(places, map(float, rng.binomial(queries, chance) / queries), strict=True))

    return Duel(scores(gap), scores(0.0), scores(0.05))


def real(rng: np.random.Generator, table: Sequence[Scores]) -> Duel:
    """Two trials of a table, and a base that is not above the second."""
    one, other, base = (table[int(n)] for n in rng.choice(len(table), 3, replace=False))
    return Duel(one, other, min(base, other, key=mean_score))


def lopsided(rng: np.random.Generator, folds: int) -> Duel:
    """A challenger that is a point or two worse on every fold but one, and so much better there that it ends above."""
    leader = coins(rng, folds).leader
    leader = {place: min(score, 0.5) for place, score in leader.items()}
    won = list(leader)[int(rng.integers(folds))]
    challenger = {place: score - 0.01 - 0.01 * float(rng.random()) for place, score in leader.items()}
    return Duel(challenger | {won: 1.0}, leader, leader)


def null(rng: np.random.Generator, duel: Duel, *, tries: int = 64) -> Duel | None:
    """Exchange the two trials' scores at random until the challenger ends above by more than the margin, barely.

    None where they are too close, or do not differ.
    """
    found: list[Duel] = []
    for _ in range(tries):
        turned = {place for place in duel.leader if rng.random() < 0.5}
        swapped = [
            {place: (theirs if place in turned else ours)[place] for place in duel.leader}
            for ours, theirs in ((duel.challenger, duel.leader), (duel.leader, duel.challenger))
        ]
        swapped.sort(key=mean_score)
        found.append(Duel(swapped[1], swapped[0], min(duel.base, swapped[0], key=mean_score)))
    return min((one for one in found if one.ahead > MARGIN), key=lambda one: one.ahead, default=None)


Way = Callable[[Duel, int], int | None]  # a duel and a seed: after how many folds the challenger is stopped


def by_rule(rule: Callable[[Standings], Rule], drawn_by: Stopping | None = None) -> Way:
    """A rule of the product, in a race of its own; folds come as they are `drawn`, or in an order drawn evenly."""

    def run(duel: Duel, seed: int) -> int | None:
        board = Standings()
        judge = rule(board)
        for number, scores in enumerate((duel.base, duel.leader)):
            board.enter(number, scores)
            for place, score in scores.items():
                board.tell(number, place, score)
                if number == 0:
                    judge.tell(number)
        board.enter(2, drawn([*duel.challenger], duel.base, drawn_by, seed) if drawn_by else shuffled(duel, seed))
        for k, place in enumerate(board.planned[2], start=1):
            board.tell(2, place, duel.challenger[place])
            if judge.tell(2):
                return k
        return None

    return run


def shuffled(duel: Duel, seed: int) -> list[Place]:
    """The folds in an order that is drawn evenly."""
    places = [*duel.challenger]
    return [places[int(n)] for n in np.random.default_rng(seed).permutation(len(places))]


def proved(settings: Stopping, *, trials: int = 1) -> Way:
    """The proved race; `trials`: over how many the error is split."""
    return by_rule(lambda board: Proved(board, settings, trials=trials), settings)


def by_fixed_sample(p_value: Callable[[np.ndarray], float], *, fewest: int = 3) -> Way:
    """A test of the differences that is made for one look, at 5 %, looked at after every fold."""

    def run(duel: Duel, seed: int) -> int | None:
        places = shuffled(duel, seed)
        gaps = np.array([duel.challenger[place] - duel.leader[place] for place in places])
        looks = range(fewest, len(gaps))
        return next((k for k in looks if gaps[:k].any() and p_value(gaps[:k]) < 0.05), None)

    return run


def paired_t(gaps: np.ndarray) -> float:
    """One-sided p-value of Student's t test that the mean is not below 0."""
    spread = gaps.std(ddof=1) / np.sqrt(len(gaps))
    return float(t.cdf(gaps.mean() / spread, len(gaps) - 1)) if spread else float(gaps.mean() >= 0)


def signed_ranks(gaps: np.ndarray) -> float:
    """One-sided p-value of Wilcoxon's test, by which Optuna's WilcoxonPruner goes."""
    return float(wilcoxon(gaps, alternative="less", zero_method="zsplit", method="asymptotic").pvalue)


def ways(*, trials: int = 1) -> dict[str, Way]:
    """Everything that is compared; `trials`: over how many the error is split."""
    asked = Stopping()
    race = {"confidence": asked.confidence, "fewest": asked.fewest_folds, "spread": asked.spread}
    over = f" over {trials} trials" if trials > 1 else ""
    return {
        f"proved, {100 * asked.error:g} %{over}": proved(asked, trials=trials),
        f"race at {asked.confidence}": by_rule(lambda board: Race(board, **race)),
        "Wilcoxon after each fold, 5 %": by_fixed_sample(signed_ranks),
        "paired t after each fold, 5 %": by_fixed_sample(paired_t),
    }


def false_stops(way: Way, duels: Sequence[Duel]) -> int:
    """How many challengers are stopped although each would have ended above by more than the margin."""
    return sum(way(duel, seed) is not None for seed, duel in enumerate(duels))


def nulls(kind: Callable[[np.random.Generator], Duel | None], count: int) -> list[Duel]:
    """So many duels of a kind, with seeds 0, 1, ...; those that it cannot make are passed over."""
    return list(_first(count, (kind(np.random.default_rng(seed)) for seed in range(20 * count))))


def folds_taken(way: Way, duels: Sequence[Duel]) -> float:
    """Folds until the challenger is stopped, all of them where it never is; the mean."""
    return float(np.mean([way(duel, seed) or len(duel.leader) for seed, duel in enumerate(duels)]))


def _first(count: int, found: Iterator[Duel | None]) -> Iterator[Duel]:
    for duel in found:
        if duel is not None and count > 0:
            count -= 1
            yield duel
        if not count:
            return
