"""Betting on a mean: a proof by wealth that, under what is to be refuted, grows on average in no step.

Staked is a share of what was won so far, on something that pays at most 1 for 1 on average if the claim is true. Then
the wealth, 1 at first, reaches 1 / error with a probability of at most `error`, however often one looks (Ville). Which
share is best is not known beforehand, so the wealth is the mean over those with each of several.

An interval of a mean difference holds what no bet refutes (Waudby-Smith and Ramdas, "Estimating means of bounded random
variables by betting", JRSS B 2024). If the mean is at most m, a difference d in [-1, 1] pays (1 + d) / (1 + m). Means
of units may differ, as those of categories do, and units may weigh unequally: where they are independent and the share
is one for all, the product of what each pays on average is at most the power of their mean.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import logsumexp

_NEAR = 1 - 1e-9  # what a mean of 1 or -1 would pay cannot be divided


def staked(wealth: np.ndarray, stakes: Sequence[float], pays: float) -> np.ndarray:
    """Return the wealth float [S] after a bet that `pays` so much for 1, one for each of the `stakes` [S]."""
    shares = np.array(stakes)
    after: np.ndarray = wealth * (1 - shares + shares * pays)
    return after


def interval_of_mean(
    units: Collection[tuple[float, float]], *, error: float, stakes: Sequence[float]
) -> tuple[float, float]:
    """Return the interval of a mean difference, which is not in it with a probability of at most `error`.

    Args:
        units: each unit's weight and difference, in [-1, 1]; weights sum to 1. At least one.
        error: half of it for each end.
        stakes: in (0, 1].
    """
    weights, differences = np.array([*units]).T
    shares = np.array(stakes)[:, None]

    def odds(mean: float, sign: int) -> float:
        """Return the log of the wealth against a mean of at least (sign 1) or at most (sign -1) so much."""
        pays = len(weights) * weights * (1 - sign * differences) / (1 - sign * mean)
        with np.errstate(divide="ignore"):  # whoever stakes all may lose all
            wealths = np.log(1 - shares + shares * pays).sum(axis=1)
        return float(logsumexp(wealths) - np.log(len(stakes) * 2 / error))

    ends = [sign * _NEAR if odds(sign * _NEAR, sign) < 0 else brentq(odds, -_NEAR, _NEAR, (sign,)) for sign in (-1, 1)]
    return float(ends[0]), float(ends[1])
