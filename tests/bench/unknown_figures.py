"""Figures of the study of types that nobody has shown: ROC curves, error rates beside those stated, reliability."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from sklearn.metrics import roc_curve

from fsamc.classifier.calibration import CalibrationSettings
from fsamc.classifier.novelty import Novelty
from tests.bench.bench_unknown import answers, binned
from tests.bench.unknown_types import SCORES, SHOTS, Photos, tasks

COLOURS = {"novelty": "#00796b", "largest score, prototype": "#e65100", "nearest support image": "#5e35b1"}
RATES = np.linspace(0, 1, 101)


def draw(photos: Mapping[str, Photos], folder: Path) -> None:
    """Write `unknown-roc.svg`, `unknown-error.svg` and `unknown-reliability.svg`."""
    style = {"font.size": 9, "axes.titlesize": 9, "axes.spines.top": False, "axes.spines.right": False}
    style |= {"svg.hashsalt": "fsamc", "svg.fonttype": "none", "legend.frameon": False}
    for name, panel in (("roc", roc_panel), ("error", error_panel), ("reliability", reliability_panel)):
        with mpl.rc_context(style):
            figure, row = plt.subplots(1, len(photos), figsize=(8.4, 3.1), layout="constrained", sharey=True)
            for axes, (category, one) in zip(row, photos.items(), strict=True):
                axes.plot([0, 1], [0, 1], color="#9e9e9e", linewidth=0.8, linestyle=":")
                axes.set_title(category.replace("_", " "))
                panel(axes, one)
            row[0].legend(loc="upper left" if name == "error" else "lower right", fontsize=8)
            figure.savefig(folder / f"unknown-{name}.svg", metadata={"Date": None, "Creator": None})
            plt.close(figure)


def roc_panel(axes: Axes, photos: Photos) -> None:
    """Draw the share of images of types left out that is found, at each share of false alarms, mean over the tasks."""
    for name, colour in COLOURS.items():
        curves = []
        for task in tasks(photos, leave_out=True):
            false, true, _ = roc_curve(~task.shown, SCORES[name](task.queries, task.support))
            curves.append(np.interp(RATES, false, true))
        axes.plot(RATES, np.mean(curves, axis=0), color=colour, linewidth=1.4, label=name)
    axes.set_xlabel("called unknown, of types shown")
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel("called unknown, of the type left out")


def error_panel(axes: Axes, photos: Photos) -> None:
    """Draw the share of images of types shown that is called unknown at each stated rate, each type counting alike."""
    for leave_out, colour, label in ((False, "#00796b", "all types shown"), (True, "#e65100", "one type left out")):
        rates = []
        for task in tasks(photos, leave_out=leave_out):
            usual = Novelty(task.support, CalibrationSettings().novelty).p_values(task.queries)
            shown = np.unique(task.labels[task.shown])
            rates.append([np.mean([(usual[task.labels == k] <= rate).mean() for k in shown]) for rate in RATES])
        axes.plot(RATES, np.mean(rates, axis=0), color=colour, linewidth=1.4, label=label)
    axes.set(xlim=(0, 0.5), ylim=(0, 0.5), xlabel="stated")
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel("called unknown, of types shown")


def reliability_panel(axes: Axes, photos: Photos) -> None:
    """Draw the share of right answers at each probability, before and after calibration."""
    default = CalibrationSettings().temperatures["prototype"]
    for temperature, colour, label in ((None, "#e65100", "not calibrated"), (default, "#00796b", "calibrated")):
        bins = binned(*answers(photos, "prototype", SHOTS, temperature))
        axes.plot([b[1] for b in bins], [b[2] for b in bins], color=colour, linewidth=1.0, label=label)
        total = sum(b[0] for b in bins)
        axes.scatter([b[1] for b in bins], [b[2] for b in bins], [4 + 120 * b[0] / total for b in bins], color=colour)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability of the likeliest type")
    if axes.get_subplotspec().is_first_col():
        axes.set_ylabel("share of right answers")
