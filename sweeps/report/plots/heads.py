"""Heads side by side, as in the paper's figure 6."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fsamc.counting import counted
from sweeps.report.evidence import Evidence
from sweeps.report.paper_tables import printed_average
from sweeps.report.plots.style import FAINT, HEADS, INK, WHISKER, canvas, legend_on_top
from sweeps.results.tables import AVERAGE


def head_scores(evidence: Evidence) -> pd.DataFrame:
    """Score the best trial of every head at each number of shots, in their order; empty unless there are two heads.

    Returns columns head, shots, trial, mean, std, and paper: the paper's average for a trial like it; NaN where none.
    """
    board = evidence.board.assign(head=evidence.board["trial"].map(evidence.of_trials("head")))
    if board["head"].nunique() < 2:
        return pd.DataFrame(columns=["head", "shots", "trial", "mean", "std", "paper"])
    averages = evidence.summary[evidence.summary["category"] == AVERAGE].dropna(subset="shots")
    best = board.drop_duplicates("head")[["head", "trial"]].merge(averages, on="trial")
    best = best.sort_values(["shots", "head"], ignore_index=True)
    printed = [_printed(evidence, trial, int(shots)) for trial, shots in zip(best["trial"], best["shots"], strict=True)]
    return best.assign(paper=printed)[["head", "shots", "trial", "mean", "std", "paper"]]


def _printed(evidence: Evidence, trial: int, shots: int) -> float:
    config = evidence.configs.get(trial)
    categories = evidence.averaged.get(shots, [])
    return printed_average(config.model_copy(update={"shots": shots}), categories) if config else np.nan


def draw_heads(scores: pd.DataFrame) -> Figure:
    """Draw a bar per head, side by side at every number of shots, with the paper's average where it has one."""
    heads, shots = sorted(scores["head"].unique()), sorted(scores["shots"].unique())
    width = 0.8 / len(heads)
    figure, axes = canvas(max(4.5, 1.4 + 0.55 * len(heads) * len(shots)), 3.6)
    for place, head in enumerate(heads):
        mine = scores[scores["head"] == head]
        x = mine["shots"].map(shots.index).to_numpy() + (place - (len(heads) - 1) / 2) * width
        mean, spread = 100 * mine["mean"], 100 * mine["std"].fillna(0)
        axes.bar(x, mean, 0.92 * width, yerr=spread, color=HEADS(place % HEADS.N), label=head, error_kw=WHISKER)
        axes.plot(x, 100 * mine["paper"], "D", ms=6, mfc="white", mec=INK, zorder=3)
        for at, height in zip(x, mean, strict=True):
            axes.text(at, 1, f"{height:.1f}", ha="center", va="bottom", fontsize=8)
    handles = axes.get_legend_handles_labels()[0]
    if scores["paper"].notna().any():
        handles += axes.plot([], [], "D", ms=6, mfc="white", mec=INK, label="the paper's average")
    axes.set_xticks(range(len(shots)), [counted(n, "shot") for n in shots])
    axes.set_ylabel("average accuracy, %")
    axes.grid(axis="y", color=FAINT)
    axes.set_axisbelow(True)
    legend_on_top(axes, handles)
    return figure
