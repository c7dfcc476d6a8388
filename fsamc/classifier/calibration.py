"""Calibration of a classifier's answers: probabilities, types that nobody has shown, sets of types at a stated error.

All of it comes of the support alone: each image of it is held against the others, and a new image against that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from pydantic import Field
from scipy.optimize import minimize_scalar
from scipy.spatial.distance import cdist
from scipy.special import logsumexp, softmax

from fsamc.classifier.novelty import Novelty, NoveltySettings
from fsamc.config.settings import Settings


class CalibrationSettings(Settings):
    """How answers are calibrated."""

    temperatures: dict[str, float] = Field(
        {"prototype": 0.12, "adapter": 0.13, "ridge": 0.01, "cache": 0.95, "lda": 0.04, "logistic": 0.01},
        description="what a head's scores are divided by before any photo has spoken, by its kind: the best on queries "
        "of three public categories at 2 and 5 shots; 1 for kinds not named, whose training fits its own scores",
    )
    spread: float = Field(
        0.4,
        gt=0.0,
        description="standard deviation of the temperatures' logarithms there, so how far photos may move them",
    )
    novelty: NoveltySettings = NoveltySettings()


@dataclass(frozen=True)
class CalibratedAnswers:
    """What is said of Q images, C types.

    Attributes:
        probabilities: float64 [Q, C], rows that sum to one: of each type, were the image's among those shown.
        is_known: bool [Q], whether the image may show one of the types shown: more than a share alpha of theirs are as
            novel.
        sets: bool [Q, C], the types that it may show; none of them where it is not known.
    """

    probabilities: np.ndarray
    is_known: np.ndarray
    sets: np.ndarray


@dataclass(frozen=True)
class Calibration:
    """What a classifier has learnt about its own answers from the support; `calibrate` makes it.

    Attributes:
        support: per type the vectors of its images, float [S, E]; n images in all.
        temperature: what scores are divided by.
        misfits: float64 [n], one minus the probability that each support image's type was given without it; 1 where
            its type would have been left empty.
        settings: of the calibration.
        elsewhere: `Novelty.standard` of other categories, float [m] each.
    """

    support: Sequence[np.ndarray]
    temperature: float
    misfits: np.ndarray
    settings: CalibrationSettings
    elsewhere: Sequence[np.ndarray]

    @cached_property
    def novelty(self) -> Novelty:
        """How far images are from the types shown."""
        return Novelty(self.support, self.settings.novelty)

    def answer(self, encoded: np.ndarray, scores: np.ndarray, *, alpha: float) -> CalibratedAnswers:
        """Answer for images, each for itself.

        Args:
            encoded: their vectors, float [Q, E].
            scores: the head's, float [Q, C].
            alpha: share of images of the types shown that may be called unknown, in (0, 1); and of those that are
                called known, for which the set may lack the type.
        """
        is_known = self.novelty.p_values(encoded, elsewhere=self.elsewhere) > alpha
        chances = probabilities(scores, self.temperature)
        sets = label_sets(chances, self.misfits, alpha=alpha) & is_known[:, None]
        return CalibratedAnswers(chances, is_known, sets)

    def calibrated(self, alpha: float) -> bool:
        """Whether there are photos enough for any image to be called unknown at `alpha`, in (0, 1)."""
        return self.novelty.least_p_value(elsewhere=self.elsewhere) <= alpha

    def photos_needed(self, alpha: float) -> int:
        """Return how many support photos can carry `alpha`, in (0, 1), where every type has two or more.

        That is here and in the categories that lend.
        """
        return max(math.ceil(1 / alpha / (1 + len(self.elsewhere))) - 1, 0)


def calibrate(
    support: Sequence[np.ndarray],
    left_out: np.ndarray,
    *,
    head: str,
    settings: CalibrationSettings,
    elsewhere: Sequence[np.ndarray] = (),
) -> Calibration:
    """Learn from the support how far a head's answers can be trusted. A copy of an image says nothing new: one counts.

    Args:
        support: per type the vectors of its images, float [S, E]: two types or more, whose sizes may differ.
        left_out: float [n, C], type by type what a head that was fitted without each support image said of it; rows of
            NaN where its type would have been left empty.
        head: its kind.
        settings: of the calibration.
        elsewhere: `Novelty.standard` of other categories, float [m] each; borrowed where photos are few.

    Raises:
        ValueError: there are fewer than two types, a type has no image, or the shapes do not agree.
    """
    sizes = [len(images) for images in support]
    if len(sizes) < 2 or not all(sizes):
        raise ValueError(f"support: types of {sizes} images; expected two types or more, and an image of each")
    if left_out.shape != (sum(sizes), len(sizes)):
        raise ValueError(f"left_out: shape {left_out.shape}; expected {(sum(sizes), len(sizes))}, a row per image")
    once = np.concatenate([_first_of_copies(images) for images in support])
    labels, left_out = np.repeat(np.arange(len(sizes)), sizes)[once], left_out[once]
    support = [images[_first_of_copies(images)] for images in support]
    seen = ~np.isnan(left_out).any(1)
    temperature = fit_temperature(
        left_out[seen], labels[seen], default=settings.temperatures.get(head, 1.0), spread=settings.spread
    )
    misfits = np.ones(len(labels))
    misfits[seen] -= probabilities(left_out[seen], temperature)[np.arange(seen.sum()), labels[seen]]
    return Calibration(support, temperature, misfits, settings, elsewhere)


def _first_of_copies(images: np.ndarray) -> np.ndarray:
    """Return which of some images [S, E] are no copies of an earlier one, bool [S]."""
    same = cdist(images, images) <= 1e-4 * np.linalg.norm(images, axis=1)  # vectors of copies differ by rounding
    return np.asarray(~np.tril(same, -1).any(1))


def probabilities(scores: np.ndarray, temperature: float) -> np.ndarray:
    """Return the softmax of scores [Q, C] divided by a temperature, float64 [Q, C]."""
    return np.asarray(softmax(np.asarray(scores, np.float64) / temperature, axis=1))


def fit_temperature(scores: np.ndarray, labels: np.ndarray, *, default: float, spread: float) -> float:
    """Return the temperature under which these labels are likeliest, drawn towards a default (Guo et al. 2017).

    The logarithm of temperatures is taken as normal about that of the default. So without a photo it is the default,
    and the more photos, the less it counts.

    Args:
        scores: float [n, C] of images that the head was not fitted to.
        labels: int [n].
        default: temperature, above 0.
        spread: standard deviation of the logarithm, above 0.
    """

    def loss(log: float) -> float:
        scaled = scores / math.exp(log)
        likelihood = scaled[np.arange(len(labels)), labels] - logsumexp(scaled, axis=1)
        return float(((log - centre) / spread) ** 2 / 2 - likelihood.sum())

    scores, centre = np.asarray(scores, np.float64), math.log(default)
    bounds = (centre - 10 * spread, centre + 10 * spread)
    return math.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x) if len(labels) else default


def label_sets(chances: np.ndarray, misfits: np.ndarray, *, alpha: float) -> np.ndarray:
    """Return which types images may show at a stated error, bool [Q, C]: the likeliest, and all not excluded.

    A type is excluded where at most a share `alpha` of images, this one among them, misfit their type as much (least
    ambiguous sets, Sadinle et al. 2019, on left-out images).

    Args:
        chances: probabilities, float [Q, C].
        misfits: float [n], one minus the probability that left-out images' own types were given.
        alpha: in (0, 1).
    """
    at_least = len(misfits) - np.searchsorted(np.sort(misfits), 1 - chances)
    sets = (1 + at_least) / (1 + len(misfits)) > alpha
    sets[np.arange(len(sets)), chances.argmax(1)] = True
    return sets
