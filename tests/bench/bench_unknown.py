"""How well types are recognised that nobody has shown, on real categories whose types are left out in turn.

    python -m tests.bench.bench_unknown --data DIR --backbone FILE.pt2 [--cache DIR] [--figures DIR]

Five images of each other type are shown, and all other images are queries: how well a score tells those of the type
left out from the rest (AUROC), how often images of types shown are called unknown beside the rate that was stated, and
how often a probability is right. Draws 1 to 10, seed 1. Intervals are bootstrapped over draws, and over images with
those of one part together. What the settings and the default temperatures are worth on a category that had no part in
choosing them is measured on each with what the others choose.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import platformdirs

from fsamc.classifier.calibration import Calibration, CalibrationSettings, calibrate, fit_temperature, probabilities
from fsamc.classifier.novelty import Novelty, NoveltySettings
from fsamc.store.store import Store
from tests.bench.unknown_types import (
    HEADS,
    SCORES,
    SHOTS,
    Bootstrap,
    Photos,
    Task,
    head_scores,
    interval,
    photos_of,
    tasks,
)

ALPHAS = (0.05, 0.1, 0.2)
BARS = ("largest score, prototype", "largest score, ridge", "nearest support image")
GRID = [NoveltySettings(shrinkage=s, relative=r) for s, r in product((0.1, 0.3, 1.0), (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))]
CATEGORIES = ("magnetic_tile", "pcb", "bottle")
Measured = dict[str, np.ndarray]


def main() -> None:
    """Measure, print the tables, draw the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--seed", type=int, default=1, help="of the bank")
    parser.add_argument("--categories", nargs="+", default=CATEGORIES)
    parser.add_argument("--cache", type=Path, default=Path(platformdirs.user_cache_dir("fsamc")))
    parser.add_argument("--figures", type=Path, help="folder that the figures are written to")
    asked = parser.parse_args()
    missing = [name for name in asked.categories if not (asked.data / name).is_dir()]
    if missing:
        sys.exit(f"{asked.data}: no {', '.join(missing)}; these are real categories that do not come with fsamc")
    store = Store(asked.cache)
    photos = {name: photos_of(asked.data, name, asked.backbone, store, seed=asked.seed) for name in asked.categories}
    print_aurocs(photos)
    print_error_rates(photos)
    print_probabilities(photos)
    if asked.figures:
        from tests.bench.unknown_figures import draw

        draw(photos, asked.figures)


def print_aurocs(photos: Mapping[str, Photos]) -> None:
    """Print the AUROC of every score, what novelty is ahead of the bars by, and what other categories would choose."""
    found = {name: aurocs(one) for name, one in photos.items()}
    row("AUROC", *photos)
    row(*["---"] * (1 + len(photos)))
    for score in SCORES:
        row(score, *(interval(found[name][score]) for name in photos))
    for bar in BARS:
        row(f"novelty minus {bar}", *(interval(found[name]["novelty"] - found[name][bar], sign="+") for name in photos))
    grid = {name: [auroc_of(one, settings) for settings in GRID] for name, one in photos.items()}
    lead = {name: np.array(grid[name]) - max(found[name][bar][0] for bar in BARS) for name in photos}
    for name in photos:
        others = [lead[other] for other in photos if other != name]
        best = int(np.argmax(np.min(others, axis=0)))
        print(f"{name}: the others choose {GRID[best]}, which has {grid[name][best]:.3f} here")


def aurocs(photos: Photos) -> Measured:
    """Return each score's AUROC, the estimate first and then its replicates."""
    bootstrap, found = Bootstrap(photos), dict[str, list[tuple[Task, np.ndarray]]]()
    for task in tasks(photos, leave_out=True):
        for name, score in SCORES.items():
            strange = score(task.queries, task.support)
            found.setdefault(name, []).append((task, bootstrap.auroc(task, strange)))
    return {name: bootstrap.over_draws(values) for name, values in found.items()}


def auroc_of(photos: Photos, settings: NoveltySettings) -> float:
    """Return the AUROC of novelty with other settings."""
    alone = Bootstrap(photos, replicates=0)
    listed = tasks(photos, leave_out=True)
    values = [(task, alone.auroc(task, Novelty(task.support, settings)(task.queries))) for task in listed]
    return float(alone.over_draws(values)[0])


def print_error_rates(photos: Mapping[str, Photos]) -> None:
    """Print the share of images that are called unknown, of types shown and not shown, at each stated rate."""
    settings = NoveltySettings()
    row("of images, % called unknown", "stated", *photos)
    row(*["---"] * (2 + len(photos)))
    lent = {name: [Novelty(task.support, settings).standard for task in tasks(one, leave_out=False)]
            for name, one in photos.items()}  # fmt: skip
    for leave_out, borrowed in ((False, False), (True, False), (True, True)):
        rates: dict[tuple[str, float], list[str]] = {}
        for name, one in photos.items():
            bootstrap, listed = Bootstrap(one), list(tasks(one, leave_out=leave_out))
            others = [lent[other] for other in photos if borrowed and other != name]
            usual = [
                Novelty(task.support, settings).p_values(task.queries, elsewhere=[one[task.draw - 1] for one in others])
                for task in listed
            ]
            for alpha in ALPHAS:
                pairs = [(task, p <= alpha, task.shown) for task, p in zip(listed, usual, strict=True)]
                about = "shown" if leave_out else "shown, none left out"
                rates.setdefault((about, alpha), []).append(_percent(bootstrap, pairs))
                if leave_out:
                    new = [(task, event, ~shown) for task, event, shown in pairs]
                    rates.setdefault(("left out", alpha), []).append(_percent(bootstrap, new))
        for (about, alpha), cells in rates.items():
            row(about + (", borrowing" if borrowed else ""), f"{alpha:.0%}", *cells)


def _percent(bootstrap: Bootstrap, pairs: Sequence[tuple[Task, np.ndarray, np.ndarray]]) -> str:
    rates = bootstrap.over_draws([(task, bootstrap.rate(task, event, among)) for task, event, among in pairs])
    return interval(100 * rates, digits=1)


def print_probabilities(photos: Mapping[str, Photos]) -> None:
    """Print the best temperatures on queries, and what probabilities are worth with those of the others; and sets."""
    best = {
        (kind, shots, name): best_temperature(one, kind, shots)
        for kind, shots, (name, one) in product(HEADS, (2, SHOTS), photos.items())
    }
    row("best temperature", "shots", *photos)
    row(*["---"] * (2 + len(photos)))
    for kind, shots in product(HEADS, (2, SHOTS)):
        row(kind, shots, *(f"{best[kind, shots, name]:.3f}" for name in photos))
    for kind in HEADS:
        logs = [math.log(value) for key, value in best.items() if key[0] == kind]
        print(f"{kind}: {math.exp(np.mean(logs)):.3f}, deviation of the logarithm {np.std(logs, ddof=1):.2f}")
    row("probabilities", "shots", *photos)
    row(*["---"] * (2 + len(photos)))
    for kind, shots in product(("prototype", "ridge"), (1, 2, SHOTS)):
        cells = []
        for name, one in photos.items():
            others = [math.log(best[kind, few, other]) for few in (2, SHOTS) for other in photos if other != name]
            default = math.exp(np.mean(others))
            errors = [calibration_error(*answers(one, kind, shots, temperature)) for temperature in (None, default)]
            cells.append(f"{errors[0]:.1f} → {errors[1]:.1f}")
        row(kind, shots, *cells)
    row("sets of types, prototype", "stated", *photos)
    row(*["---"] * (2 + len(photos)))
    for alpha in ALPHAS:
        row("type lacking, %; types in a set", f"{alpha:.0%}", *(sets_of(one, alpha) for one in photos.values()))


def best_temperature(photos: Photos, kind: str, shots: int) -> float:
    """Return the temperature under which the queries of all draws are likeliest."""
    listed = list(tasks(photos, leave_out=False, shots=shots))
    scores = np.concatenate([head_scores(kind, task.queries, task.support) for task in listed])
    labels = np.concatenate([task.labels for task in listed])
    return fit_temperature(scores, labels, default=0.1, spread=5.0)


def answers(photos: Photos, kind: str, shots: int, default: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of each query's likeliest type, and whether that is its type; uncalibrated for None."""
    chances, right = [], []
    for task in tasks(photos, leave_out=False, shots=shots):
        scores = head_scores(kind, task.queries, task.support)
        temperature = 1.0 if default is None else calibration(task, kind, default).temperature
        ours = probabilities(scores, temperature)
        chances.append(ours.max(1))
        right.append(ours.argmax(1) == task.labels)
    return np.concatenate(chances), np.concatenate(right)


def calibration(task: Task, kind: str, default: float) -> Calibration:
    """Calibrate a head on a task's support."""
    settings = CalibrationSettings(temperatures={kind: default})
    return calibrate(task.support, left_out_scores(kind, task.support), head=kind, settings=settings)


def left_out_scores(kind: str, support: Sequence[np.ndarray]) -> np.ndarray:
    """Return what heads fitted to all other support images say of each, float [n, C]; NaN where there is no other."""
    rows = []
    for label, images in enumerate(support):
        for k in range(len(images)):
            others = [np.delete(one, k, 0) if place == label else one for place, one in enumerate(support)]
            alone = len(images) == 1
            rows.append(np.full(len(support), np.nan) if alone else head_scores(kind, images[[k]], others)[0])
    return np.array(rows)


def binned(chances: np.ndarray, right: np.ndarray) -> list[tuple[int, float, float]]:
    """Return count, mean probability and share of right answers in each tenth of the probabilities that has any."""
    places = np.minimum((chances * 10).astype(int), 9)
    return [(int(of.sum()), chances[of].mean(), right[of].mean()) for k in range(10) if (of := places == k).any()]


def calibration_error(chances: np.ndarray, right: np.ndarray) -> float:
    """Return the expected calibration error in %: how far probability and share are apart, on average over answers."""
    return 100 * sum(count * abs(chance - share) for count, chance, share in binned(chances, right)) / len(chances)


def sets_of(photos: Photos, alpha: float) -> str:
    """Return how often a set lacks the type, among images called known, and how many types it has on average."""
    bootstrap, lacks, sizes = Bootstrap(photos), [], []
    for task in tasks(photos, leave_out=False):
        default = CalibrationSettings().temperatures["prototype"]
        scores = head_scores("prototype", task.queries, task.support)
        answer = calibration(task, "prototype", default).answer(task.queries, scores, alpha=alpha)
        lacks.append((task, ~answer.sets[np.arange(len(scores)), task.labels], answer.is_known))
        sizes.append(answer.sets[answer.is_known].sum(1).mean())
    return f"{_percent(bootstrap, lacks)}; {np.mean(sizes):.1f} of {len(photos.category.classes)}"


def row(*cells: object) -> None:
    """Print a row of a table."""
    print("|", " | ".join(map(str, cells)), "|", flush=True)


if __name__ == "__main__":
    main()
