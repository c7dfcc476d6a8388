"""Heads side by side, as in the paper's figure 6."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sweeps.report.evidence import Evidence
from sweeps.report.paper_tables import printed_average


def head_scores(evidence: Evidence) -> pd.DataFrame:
    """The best trial of every head and number of shots, in the order of shots; empty unless there are two heads.

    Returns columns head, shots, trial, mean, std, and paper: the paper's average for a trial like it; NaN where none.
    """
    board = evidence.board.assign(head=evidence.board["trial"].map(evidence.of_trials("head")))
    if board["head"].nunique() < 2:
        return pd.DataFrame(columns=["head", "shots", "trial", "mean", "std", "paper"])
    best = board.drop_duplicates(["head", "shots"]).sort_values(["shots", "head"], ignore_index=True)
    configs = [evidence.configs.get(trial) for trial in best["trial"]]
    printed = [printed_average(config, evidence.categories) if config else np.nan for config in configs]
    return best.assign(paper=printed)[["head", "shots", "trial", "mean", "std", "paper"]]
