"""How often the number of a final lies in its own interval, beside the search's own number, where the truth is known.

    python -m tests.bench.bench_final --replays 1000

Trials, images and draws are made up: whether a trial names an image rightly depends on the trial, the image, the draw,
and on what these do together. The search takes the trial with the highest accuracy of all; the final scores it on other
images and other draws. The truth is that trial's accuracy over all images and draws that there might be. An interval is
also put around the search's own number, in the same way: what a report without a final would have to claim.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sweeps.finals.intervals import interval_of_share, mean_and_noise


@dataclass(frozen=True)
class World:
    """What is made up; spreads are standard deviations of the log odds of a right answer.

    Attributes:
        images: of each category, in the search; in the final `held`.
        draws: in the search; in the final `fresh`.
    """

    trials: int = 40
    categories: int = 3
    images: int = 40
    held: int = 18
    draws: int = 2
    fresh: int = 10
    level: float = 0.5
    of_trials: float = 0.15
    of_images: float = 1.5
    of_draws: float = 0.3
    of_both: float = 0.7


@dataclass(frozen=True)
class Told:
    """A number, its interval and the truth."""

    number: float
    low: float
    high: float
    truth: float

    @property
    def holds(self) -> bool:
        """Whether the truth lies in the interval."""
        return self.low <= self.truth <= self.high


def replay(world: World, seed: int) -> tuple[Told, Told]:
    """Search once; return what the search and the final say of the trial that was chosen."""
    rng = np.random.default_rng(seed)
    skills = rng.normal(world.level, world.of_trials, world.trials)
    searched = _answers(world, skills, world.images, world.draws, rng)
    best = int(searched.mean(axis=(1, 2, 3)).argmax())
    fresh = _answers(world, skills[best : best + 1], world.held, world.fresh, rng)[0]
    spread = np.sqrt(world.of_images**2 + world.of_draws**2 + 2 * world.of_both**2)
    truth = float((1 / (1 + np.exp(-rng.normal(skills[best], spread, 200_000)))).mean())
    return _told(searched[best], truth), _told(fresh, truth)


def _answers(world: World, skills: np.ndarray, images: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Right answers, bool [T, categories, images, draws]; images and draws are as hard for one trial as for another."""
    odds = skills[:, None, None, None] + rng.normal(0, world.of_images, (1, world.categories, images, 1))
    odds = odds + rng.normal(0, world.of_draws, (1, world.categories, 1, draws))
    odds = odds + rng.normal(0, world.of_both, (len(skills), world.categories, images, 1))
    odds = odds + rng.normal(0, world.of_both, (len(skills), world.categories, images, draws))
    return rng.random(odds.shape) < 1 / (1 + np.exp(-odds))


def _told(right: np.ndarray, truth: float) -> Told:
    category, group, draw = (index.ravel() for index in np.indices(right.shape))
    answers = pd.DataFrame(
        {"category": category, "shots": 2, "group": group, "draw": draw, "score": right.ravel().astype(float)}
    )
    noise = mean_and_noise(answers)
    return Told(noise.mean, *interval_of_share(noise), truth)


def coverage(told: list[Told]) -> float:
    """The share of the intervals that hold the truth."""
    return sum(one.holds for one in told) / len(told)


def main() -> None:
    """Replay and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replays", type=int, default=1000)
    replays = parser.parse_args().replays
    worlds = {
        "3 categories, 18 images each": World(),
        "1 category, 9 images": World(categories=1, images=20, held=9),
        "nearly always right": World(level=4.0),
        "5 fresh draws that matter": World(fresh=5, of_draws=1.0),
    }
    print(f"{replays} replays: the truth lies in the 95 % interval, and how far the number is above it (points)")
    for name, world in worlds.items():
        searched, final = zip(*(replay(world, seed) for seed in range(replays)), strict=True)
        for what, told in (("the search's own", list(searched)), ("the final", list(final))):
            above = 100 * float(np.mean([one.number - one.truth for one in told]))
            wide = 100 * float(np.mean([one.high - one.low for one in told]))
            print(f"{name:32} {what:18} {100 * coverage(told):5.1f} %   {above:+5.1f}   {wide:5.1f} wide", flush=True)


if __name__ == "__main__":
    main()
