"""Importances: how much each swept key moves the accuracy."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from sweeps.report.plots.axes import Axis
from sweeps.report.plots.style import BLUE, canvas

FEWEST_TRIALS = 10
TREE_DEPTH = 6  # the work grows with the square of a tree's leaves: 2,000 trials take a second, not three minutes


def importances(axes: list[Axis]) -> tuple[dict[str, float], str]:
    """Estimate the share of the accuracy's variation that each swept key explains: functional ANOVA on a random forest.

    Args:
        axes: the swept keys, then the accuracy, as `swept_axes` gives them.

    Returns the shares (sum 1, largest first) and "", or nothing and the reason why they cannot be estimated.
    """
    varying = [axis for axis in axes[:-1] if axis.varies]
    if reason := _why_not(axes, len(varying)):
        return {}, reason
    import optuna  # takes a second that a sweep without a search need not spend

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize")
    optuna.logging.set_verbosity(verbosity)
    study.add_trials(_trials(varying, axes[-1].places))
    evaluator = optuna.importance.FanovaImportanceEvaluator(max_depth=TREE_DEPTH, seed=0)
    return optuna.importance.get_param_importances(study, evaluator=evaluator), ""


def _why_not(axes: list[Axis], varying: int) -> str:
    trials = len(axes[-1].places) if axes else 0
    if varying < 2:
        return f"{varying or 'no'} swept key varies between ranked trials; shares need at least two keys"
    if trials < FEWEST_TRIALS:
        return f"{trials} ranked trials are too few to fit; it takes at least {FEWEST_TRIALS}"
    if not axes[-1].varies:
        return "every trial has the same average"
    return ""


def _trials(axes: list[Axis], values: np.ndarray) -> list:
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
    from optuna.trial import create_trial

    kinds: dict[str, BaseDistribution] = {
        axis.name: CategoricalDistribution(axis.ticks) if axis.categorical else FloatDistribution(*axis.bounds)
        for axis in axes
    }
    return [
        create_trial(
            params={axis.name: float(axis.places[row]) for axis in axes}, distributions=kinds, value=float(value)
        )
        for row, value in enumerate(values)
    ]


def draw_importances(shares: dict[str, float]) -> Figure:
    """Draw a bar per key, the longest on top."""
    figure, axes = canvas(6, 0.7 + 0.3 * len(shares))
    bars = axes.barh(list(shares), [100 * share for share in shares.values()], color=BLUE, height=0.6)
    axes.bar_label(bars, fmt="%.0f", padding=3)
    axes.invert_yaxis()
    axes.set_xlabel("share of the accuracy's variation between trials, %")
    return figure
