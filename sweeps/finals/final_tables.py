"""Tables of a final: its folds and answers, each trial's accuracy with its interval; written whole, read back whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cluster.folds import Outcome
from fsamc.counting import counted
from fsamc.errors import BadInput
from fsamc.store.digests import digest
from fsamc.store.durable import write_whole
from sweeps.finals.intervals import interval_of_difference, interval_of_share, mean_and_noise
from sweeps.plan.configurations import swept
from sweeps.plan.load import config_hash
from sweeps.plan.settings import Plan
from sweeps.plan.space import Values
from sweeps.results import tables
from sweeps.results.files import read_file
from sweeps.results.fold_rows import PREDICTIONS, fold_row, table_rows
from sweeps.results.reader import SweepReader
from sweeps.results.rows import as_csv

FINAL, FINAL_FOLDS, FINAL_ANSWERS = "final.csv", "final_folds.csv", "final_predictions.csv"
NOTE = "final"  # in sweep.json
SCORES = ["trial", "shots", "category", "mean", "low", "high", "difference", "difference_low", "difference_high"]
COUNTS = ["images", "draws"]
GroupOf = Callable[[str, str], str]  # of an image: category and path to the physical part it shows


class FinalNumber(NamedTuple):
    """A trial's accuracy in the final, its 95 % interval, and what it is over; shares in [0, 1].

    `difference` is to the base; NaN of the base itself.
    """

    trial: int
    mean: float
    low: float
    high: float
    difference: float
    difference_low: float
    difference_high: float
    images: int
    draws: int

    @property
    def words(self) -> str:
        """The number with its 95 % interval."""
        return f"{tables.percent(self.mean)} % ({self.interval})"

    @property
    def interval(self) -> str:
        """The 95 % interval in words, in %."""
        return f"{tables.percent(self.low)} to {tables.percent(self.high)}"

    @property
    def over(self) -> str:
        """What it is over."""
        return f"{counted(self.images, 'image')} that had no say, {counted(self.draws, 'fresh draw')}"

    @property
    def ahead(self) -> str:
        """By how many points it is ahead of the base, with the 95 % interval; empty for the base itself."""
        if isnan(self.difference):
            return ""
        points = [f"{100 * one:+.1f}" for one in (self.difference, self.difference_low, self.difference_high)]
        gap, low, high = (text.replace("-", "\N{MINUS SIGN}") for text in points)
        return f"{gap} ({low} to {high})"

    @property
    def line(self) -> str:
        """The number as a sentence says it."""
        ahead = f"; {self.ahead} points to the base" if self.ahead else ""
        return f"final: trial {self.trial}: {self.words} on {self.over}; 95 % interval in brackets{ahead}"


@dataclass(frozen=True)
class FinalScores:
    """What final.csv holds.

    Attributes:
        scores: trial, shots (NA for the mean over them), category (and `average`), mean, low, high; difference to
            the base and its interval (NaN of the base); images, draws.
    """

    scores: pd.DataFrame

    def of(self, trial: int | None) -> FinalNumber | None:
        """Return a trial's number, over categories and shots; None for one that was not in the final."""
        rows = tables.over_shots(self.scores).query("category == @tables.AVERAGE")
        own = rows[rows["trial"] == trial].to_dict("records")
        return FinalNumber(*(own[0][name] for name in FinalNumber._fields)) if own else None

    @property
    def trials(self) -> list[int]:
        """The finalists, best by the search first."""
        return [int(trial) for trial in dict.fromkeys(self.scores["trial"])]


def write_final(
    out: Path, plan: Plan, values: Mapping[int, Values], outcomes: Mapping[int, Sequence[Outcome]], group: GroupOf
) -> dict[str, Any]:
    """Write the three tables; return what sweep.json is to say of them.

    Args:
        out: the sweep's folder.
        plan: says which keys have columns.
        values: of the trials, by number.
        outcomes: of each finalist's folds, none of them failed; the best by the search first.
        group: tells images of one physical part.
    """
    columns = list(dict.fromkeys([*tables.FIXED, *swept(plan)]))
    rows: dict[str, list[list[str]]] = {"folds.csv": [], "predictions.csv": []}
    for number, of_trial in outcomes.items():
        for outcome in of_trial:
            row = fold_row(number, config_hash(outcome.fold.config), values[number], outcome)
            made = table_rows(row, outcome, columns)
            for name, of_table in rows.items():
                of_table += made[name]
    scores = score_final(_answers(outcomes, group))
    texts = {
        FINAL_FOLDS: as_csv([columns, *rows["folds.csv"]]),
        FINAL_ANSWERS: as_csv([PREDICTIONS, *rows["predictions.csv"]]),
        FINAL: scores.to_csv(index=False, lineterminator="\n"),
    }
    for name, text in texts.items():
        write_whole(out / name, text)
    return {NOTE: {"trials": [*outcomes], "files": {name: digest(text) for name, text in texts.items()}}}


def read_final(out: Path, notes: Mapping[str, Any]) -> FinalScores | None:
    """Read final.csv; None where there was no final. Raises BadInput where a table is not as it was written."""
    written: Mapping[str, str] = notes.get(NOTE, {}).get("files", {})
    for name, seal in written.items():
        content = read_file(out / name)
        if content is None or digest(content.decode(errors="replace")) != seal:
            raise BadInput(f"{out / name}: is missing or not as the sweep wrote it; give the sweep's command again")
    if not written:
        return None
    return FinalScores(pd.read_csv(out / FINAL).astype({"shots": "Int64", "trial": "int64"}))


def final_line(out: Path) -> str:
    """Say what the final of the sweep in OUT found of the trial in best.yaml; nothing without a final.

    Raises BadInput as `read_final`.
    """
    saved = SweepReader(out)
    final = read_final(out, saved.notes)
    number = final.of(saved.recommended.trial) if final and saved.recommended else None
    return number.line if number else ""


def score_final(answers: pd.DataFrame) -> pd.DataFrame:
    """Score each trial, in the order in which they come; returns the columns of `FinalScores.scores`.

    `answers`: trial, category, shots, draw, seed, image, group, score (1.0 for a right answer, 0.0 for a wrong one).
    """
    keys = ["category", "shots", "group", "image", "draw"]
    over_seeds = answers.groupby(["trial", *keys], sort=False)["score"].mean().unstack("trial")
    rows = []
    for trial in dict.fromkeys(answers["trial"]):
        own = over_seeds[trial].rename("score").reset_index()
        gaps = own.assign(score=own["score"] - over_seeds[0].to_numpy()) if trial and 0 in over_seeds else own.head(0)
        for shots, category, these in _parts(own):
            noise, ahead = mean_and_noise(these), gaps.loc[gaps.index.isin(these.index)]
            images, draws = len(these[["category", "image"]].drop_duplicates()), these["draw"].nunique()
            scores = [noise.mean, *interval_of_share(noise), *_difference(ahead), images, draws]
            rows.append([trial, shots, category, *scores])
    return pd.DataFrame(rows, columns=[*SCORES, *COUNTS]).astype({"shots": "Int64"})


def _difference(gaps: pd.DataFrame) -> tuple[float, float, float]:
    """Return a mean difference and its interval; NaN of none."""
    if gaps.empty:
        return nan, nan, nan
    noise = mean_and_noise(gaps)
    return noise.mean, *interval_of_difference(noise)


def _parts(answers: pd.DataFrame) -> Iterator[tuple[Any, str, pd.DataFrame]]:
    """Yield each number of shots, of several also NA for their mean, with each category and `average`: its answers."""
    numbers = sorted(set(answers["shots"]))
    for shots in [*numbers, pd.NA]:
        these = answers if shots is pd.NA else answers[answers["shots"] == shots]
        for category in sorted(set(these["category"])):
            yield shots, category, these[these["category"] == category]
        yield shots, tables.AVERAGE, these


def _answers(outcomes: Mapping[int, Sequence[Outcome]], group: GroupOf) -> pd.DataFrame:
    """List every answer as `score_final` takes them."""
    parts = []
    for number, of_trial in outcomes.items():
        for outcome in of_trial:
            result = outcome.result
            assert result is not None, "a final with failed folds has no tables"
            where = {"trial": number, "category": result.category, "shots": result.shots, "draw": result.draw}
            groups = [group(result.category, image) for image in result.images]
            right = np.equal(result.truth, result.predicted).astype(float)
            images = {"image": result.images, "group": groups, "seed": result.seed, "score": right}
            parts.append(pd.DataFrame(where | images))
    return pd.concat(parts, ignore_index=True)
