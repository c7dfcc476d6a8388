"""Headline of the report: the numbers to remember, each with what chose it, and what they carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pandas as pd

from fsamc.counting import counted
from sweeps.report.baselines import chance, default_trial, not_default
from sweeps.report.document.numbers import interval, listed, percentage_points, shown
from sweeps.report.document.report_blocks import Tile
from sweeps.report.evidence import Evidence
from sweeps.results.objective import equivalent_line, what_chooses
from sweeps.results.tables import AVERAGE, DASH, not_stopped, percent

ALONE = "needs two categories that every trial has: with one there is no other to choose on"


def headline(evidence: Evidence) -> list[Tile]:
    """Name the best trial, the honest estimate of it, the default, the bar of the training-free head, and chance."""
    if evidence.board.empty:
        return []
    own = [_best(evidence), _estimate(evidence), *_base_and_default(evidence), _bar(evidence), _chance(evidence)]
    return [*_final(evidence), *own]


def _final(evidence: Evidence) -> Iterator[Tile]:
    """Yield the number to report: that of the trial in best.yaml on images that had no say."""
    recommended = evidence.recommended
    if number := evidence.final and recommended and evidence.final.of(recommended.trial):
        ahead = f"; {number.ahead} points to the base" if number.ahead else ""
        note = f"trial {number.trial}, {number.interval} with 95 % confidence, on {number.over}{ahead}"
        yield Tile("Final: the number to report", percent(number.mean), note)


def _best(evidence: Evidence) -> Tile:
    best = evidence.board.iloc[0]
    if len(evidence.board) == 1:
        return Tile("The only trial", _value(best), f"trial {best['trial']}; nothing was chosen")
    label = "Best trial, the search's own number" if evidence.final else "Best trial"
    return Tile(label, _value(best), f"trial {best['trial']}, {_chosen(evidence)}")


def _chosen(evidence: Evidence) -> str:
    """Say what chose the best trial, and what that means for its accuracy."""
    plan = evidence.plan
    if plan.objective.kind == "query" and plan.folds.score == "queries":
        return "chosen on the very queries it is reported on: selection on the test set, so expect less"
    if plan.objective.kind == "query":
        return f"chosen by {what_chooses(plan)}, so expect less"
    if plan.objective.kind == "transfer":
        return f"chosen by {what_chooses(plan)}; this is its accuracy on {', '.join(plan.objective.target)}"
    reported = "its accuracy is on queries that had no say" if plan.folds.score == "queries" else "it has no queries"
    return f"chosen by {what_chooses(plan)}; {reported}"


def _estimate(evidence: Evidence) -> Tile:
    label = "Leave-one-category-out"
    if len(evidence.board) == 1:
        return Tile(label, DASH, "one trial, so there was no choice to estimate")
    row = honest_estimate(evidence)
    if row is None:
        return Tile(label, DASH, ALONE)
    note = "each category scored by the trial that was best on the others: the honest estimate of the choice"
    return Tile(label, percent(row["accuracy"], row["std"]), note)


def _base_and_default(evidence: Evidence) -> Iterator[Tile]:
    """Yield the plan's base, and the default configuration where that is another trial."""
    default, values = default_trial(evidence), {int(row["trial"]): _value(row) for _, row in evidence.board.iterrows()}
    if 0 not in values:
        yield Tile("Base", DASH, "trial 0, the plan's base, has no average yet")
    elif default == 0:
        yield Tile("Default", values[0], "trial 0, the plan as written: every setting at its default")
        return
    else:
        changed = listed(not_default(evidence.configs[0]), most=4) if 0 in evidence.configs else "not known"
        yield Tile("Base", values[0], f"trial 0, the plan as written; not at their defaults: {changed}")
    if default is not None:
        yield Tile("Default", values[default], f"trial {default}, every setting at its default")


def _chance(evidence: Evidence) -> Tile:
    level = chance(evidence)
    if level is None:
        return Tile("Chance", DASH, "no predictions of a best trial to count classes in")
    note = f"guessing among a category's classes; always naming its commonest one: {percent(level.commonest)}"
    return Tile("Chance", percent(level.guessing), note)


def _bar(evidence: Evidence) -> Tile:
    bar = prototype(evidence)
    if bar is None:
        return Tile(
            "Prototype bar", DASH, "no trial with the training-free head; add one to know what training is worth"
        )
    note = f"trial {bar['trial']}, the best one with the prototype head: what a trained head has to clear"
    return Tile("Prototype bar", _value(bar), note)


def honest_estimate(evidence: Evidence) -> pd.Series | None:
    """Pick the last average row of the leave-one-category-out table, over all shots; none without a choice."""
    if evidence.leave_one_out.empty or len(evidence.board) == 1:
        return None
    return evidence.leave_one_out.iloc[-1]


def prototype(evidence: Evidence) -> pd.Series | None:
    """Pick the best ranked trial with the prototype head."""
    heads = evidence.board["trial"].map(evidence.of_trials("head"))
    bars = evidence.board[heads == "prototype"]
    return None if bars.empty else bars.iloc[0]


def _value(row: pd.Series) -> str:
    return percent(row["mean"], row["std"])


def conclusions(evidence: Evidence) -> list[str]:
    """Say in sentences what the numbers carry, and what they do not."""
    if evidence.best is None:
        return ["The trials share no category in which each has a finished fold, so they cannot be ranked yet."]
    sentences = [
        _when(evidence),
        _settings(evidence, evidence.best),
        f"What chose it: {what_chooses(evidence.plan)}.",
        _tuning(evidence),
        _no_final(evidence),
        _rivals(evidence),
        _stopped(evidence),
        _equivalent(evidence),
        _against_bar(evidence),
        _over(evidence),
    ]
    return [sentence for sentence in sentences if sentence]


def _tuning(evidence: Evidence) -> str:
    """Say whether tuning beat the base, and so what best.yaml is."""
    line = evidence.recommended.line if evidence.recommended else ""
    return f"{line}." if line else ""


def _no_final(evidence: Evidence) -> str:
    """Say that there is no final though one was asked for."""
    if not evidence.plan.search.final.trials or evidence.final:
        return ""
    return "There was no final, so all numbers are the search's own: no category could spare images, or it is to come."


def _settings(evidence: Evidence, best: int) -> str:
    settings = [f"{key} = {shown(evidence.of_trials(key)[best])}" for key in evidence.keys]
    abstains = evidence.recommended is not None and evidence.recommended.abstains
    where = "" if abstains else "; the whole configuration is in best.yaml"
    return f"Trial {best}: {listed(settings)}{where}." if settings else ""


def _when(evidence: Evidence) -> str:
    if evidence.period is None:
        return ""
    first, last = (datetime.fromtimestamp(seconds, UTC) for seconds in evidence.period)
    end = f"{last:%H:%M}" if first.date() == last.date() else f"{last:%Y-%m-%d %H:%M}"
    return f"Swept from {first:%Y-%m-%d %H:%M} to {end} UTC, on {counted(len(evidence.categories), 'category')}."


def _rivals(evidence: Evidence) -> str:
    board = evidence.board[evidence.board["trial"] != evidence.best]
    tied = board[board["tied"]]
    if board.empty:
        return ""
    if tied.empty:
        return f"All {len(board)} other trials are worse by more than the noise of the shared folds."
    why = "the 95 % interval of the paired difference holds 0, or there are too few folds for one"
    if len(tied) == len(board):
        return f"No other trial can be told apart from the best one: {why}."
    these = f"{len(tied)} of the {len(board)} other trials ({listed(tied['trial'])})"
    return f"{these} cannot be told apart from the best one: {why}."


def _stopped(evidence: Evidence) -> str:
    n = len(evidence.stopped)
    these = "was stopped early and has" if n == 1 else "were stopped early and have"
    why = "no average, but an estimate of it: the first folds spoke against going on"
    return f"{counted(n, 'further trial')} {these} {why}." if n else ""


def _equivalent(evidence: Evidence) -> str:
    estimates = {one.number: one.estimate for one in evidence.stopped if one.estimate is not None}
    line = equivalent_line(evidence.plan, evidence.board, estimates)
    return f"{line[0].upper()}{line[1:]}." if line else ""


def _against_bar(evidence: Evidence) -> str:
    bar = prototype(evidence)
    if bar is None:
        return ""
    if bar["trial"] == evidence.best:
        return "No trained head is above the training-free prototype."
    told = "the two cannot be told apart" if bar["tied"] else "more than the noise of the shared folds"
    by = "" if evidence.plan.objective.is_reported else " by the objective"
    gap = f"{percentage_points(-bar['difference'])} points{by} from the prototype bar"
    return f"The best trial is {gap} (95 % interval {interval(-bar['high'], -bar['low'])}): {told}."


def _over(evidence: Evidence) -> str:
    by_shots = evidence.averaged
    if len(set(map(tuple, by_shots.values()))) > 1:
        return f"Averages are over the categories that every trial has: {_over_each(by_shots)}."
    over = f"Averages are over {counted(len(evidence.categories), 'category')} that every trial has: "
    per_category = evidence.summary.groupby("category")["trial"].agg(set)
    trials = set(evidence.summary["trial"]) & set(not_stopped(evidence.folds)["trial"])
    lacking = [
        f"{name} (no finished fold in {listed(sorted(trials - per_category[name]))})"
        for name in per_category.index
        if name not in [*evidence.categories, AVERAGE]
    ]
    without = f"; left out: {listed(lacking)}" if lacking else ""
    return over + listed(evidence.categories) + without + "."


def _over_each(by_shots: Mapping[int, list[str]]) -> str:
    each = (
        f"at {counted(n, 'shot')} over {counted(len(names), 'category')}, {listed(names)}"
        for n, names in by_shots.items()
    )
    return "; ".join(each)
