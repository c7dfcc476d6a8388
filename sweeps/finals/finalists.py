"""Finalists: which trials are scored on images that had no say, on which folds, and how many these are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from cluster.folds import Fold
from fsamc.config.scoring import Scoring
from fsamc.counting import counted
from sweeps.checks.holding_out import for_final
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import configuration
from sweeps.plan.settings import Plan
from sweeps.results.objective import ranking_by_objective


def final_of(prepared: Prepared) -> Prepared | None:
    """Return the sweep with the final's folds: fresh draws, and the held-out images as queries; None without a final.

    It has the categories that could spare images.
    """
    final = {name: replace(one, final=True) for name, one in prepared.categories.items() if one.held}
    if not final:
        return None
    draws = for_final(prepared.plan.folds.draws, prepared.plan.search.final.draws)
    plan = prepared.plan.model_copy(update={"folds": prepared.plan.folds.model_copy(update={"draws": draws})})
    return replace(prepared, plan=plan, categories=final)


def final_folds(final: Prepared, values: Mapping[str, Any]) -> list[Fold]:
    """Return the folds of a trial in the final; `final` as `final_of` gives it."""
    config = configuration(final.plan, values)
    return final.folds(config.model_copy(update={"scoring": Scoring(pool=config.scoring.pool)}))


def finalists(plan: Plan, folds: pd.DataFrame, measured: pd.DataFrame) -> list[int]:
    """Pick the trials of the final, best first, by the search's own folds.

    The best `search.final.trials`, those that cannot be told apart from the best one, up to `search.final.most` in all;
    and the base, to compare with. Trials that were stopped early, or lack folds, are none.
    """
    board = ranking_by_objective(plan, folds, measured)
    board, final = board[board["complete"]], plan.search.final
    wanted = (board["tied"] | (board.index < final.trials)) & (board.index < max(final.trials, final.most))
    return [int(trial) for trial in board.loc[wanted | (board["trial"] == 0), "trial"]]


def final_lines(prepared: Prepared, trials: int) -> list[str]:
    """Say beforehand what the final will take, of so many trials; nothing where none is asked for."""
    asked, final = prepared.plan.search.final, final_of(prepared)
    if not asked.trials:
        return []
    if final is None:
        return ["no final: no category can spare images for it; the search's own numbers are all there will be"]
    folds = len(final_folds(final, {}))
    least, most = min(trials, asked.trials), min(trials, max(asked.trials, asked.most) + 1)
    held = ", ".join(f"{name} {_held(one)}" for name, one in final.categories.items())
    each = "" if least == most else f"{least * folds} to "
    return [
        f"final: {counted(most, 'trial')} at most, on images that the search never sees ({held}) and "
        f"{counted(asked.draws, 'fresh draw')}: {each}{counted(most * folds, 'fold')} more"
    ]


def _held(category: Any) -> int:
    """Count the images of defects that are kept for the final."""
    return sum(category.group(path) in category.held for path in category.defects)
