"""Intervals of a final's accuracies: how far they would move with other images and with other draws of the support.

A final asks the same images again in every draw, so its answers lie in a table of images by draws, in each category.
The mean moves with both: with the images that were held out (images of one group together), and with the draws. The
variance of each is estimated by itself and the two are added, as for means with crossed random effects (Owen, "The
pigeonhole bootstrap", 2007); what images and draws do together is in both, so the sum is rather too large. The
degrees of freedom are Satterthwaite's. The interval of a share is that of Korn and Graubard (1998): Clopper and
Pearson's, with as many answers as would have that variance if they were independent.

Assumed: images are a sample of those to come, and draws of those that the labelled images give; categories and seeds
are what they are. The trial must not have been chosen by these answers.
"""

from __future__ import annotations

from math import isnan, nan, sqrt
from typing import NamedTuple

import pandas as pd
from scipy.special import betaincinv, stdtrit

_TAIL = 0.025


class Noise(NamedTuple):
    """A mean, its variance, the degrees of freedom that this is known by, and how many groups of images answered."""

    mean: float
    variance: float
    freedom: float
    groups: int


def mean_and_noise(answers: pd.DataFrame) -> Noise:
    """Take the mean over images and draws, then categories, then numbers of shots; and how far it would move.

    `answers`: a row per answer, with category, shots, group (of the image), draw, and score, in [-1, 1]. Variance NaN
    where a category has a single group of images or a single draw.
    """
    cell = answers.groupby(["shots", "category"])["score"]
    categories = answers.groupby("shots")["category"].transform("nunique")
    weight = 1 / (answers["shots"].nunique() * categories * cell.transform("size"))
    mean = float((weight * answers["score"]).sum())
    off = answers.assign(off=weight * (answers["score"] - cell.transform("mean")))
    variance = in_freedom = 0.0
    for axis in ("group", "draw"):
        moves = off.groupby(["category", axis])["off"].sum().groupby("category")
        for n, squares in zip(moves.size(), moves.agg(lambda each: float((each**2).sum())), strict=True):
            part = squares * n / (n - 1) if n > 1 else nan
            variance += part
            in_freedom += part**2 / (n - 1) if n > 1 else nan
    freedom = variance**2 / in_freedom if in_freedom else 1.0
    return Noise(mean, variance, freedom, len(answers[["category", "group"]].drop_duplicates()))


def interval_of_share(noise: Noise) -> tuple[float, float]:
    """Return the 95 % interval of a share of right answers; NaN where its variance is not known."""
    mean, variance, freedom, groups = noise
    if isnan(variance):
        return nan, nan
    answers = float(groups)  # where all answers are alike, no fewer and no more
    if variance > 0:
        answers = mean * (1 - mean) / variance * (stdtrit(1e9, 1 - _TAIL) / stdtrit(freedom, 1 - _TAIL)) ** 2
    right = mean * answers
    low = float(betaincinv(right, answers - right + 1, _TAIL)) if mean > 0 else 0.0
    high = float(betaincinv(right + 1, answers - right, 1 - _TAIL)) if mean < 1 else 1.0
    return low, high


def interval_of_difference(noise: Noise) -> tuple[float, float]:
    """Return the 95 % interval of a mean difference, by Student's t; NaN where its variance is not known."""
    half = float(stdtrit(noise.freedom, 1 - _TAIL)) * sqrt(noise.variance) if noise.variance >= 0 else nan
    return noise.mean - half, noise.mean + half
