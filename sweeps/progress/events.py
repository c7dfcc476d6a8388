"""Events of a sweep while it goes on. A view shows them: the screen, quietly, or as lines of JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from rich.console import Console


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts of folds and trials, done and in all, earlier runs of a resumed one included.

    Attributes:
        eta: seconds left, as far as they can be known: None until a fold was run here.
    """

    folds_done: int
    folds: int
    trials_done: int
    trials: int
    eta: float | None


@dataclass(frozen=True, kw_only=True)
class Best:
    """The best trial so far: its average over the categories in [0, 1], its std over seeds, the score that chose it."""

    trial: int
    mean: float
    std: float
    score: float


@dataclass(frozen=True, kw_only=True)
class Warned:
    """Something to beware of; a caveat must stand on everything that shows a number."""

    text: str
    caveat: bool = False


@dataclass(frozen=True, kw_only=True)
class Noted:
    """Something to know that is no cause for concern."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Started:
    """The sweep's size, before anything runs."""

    name: str
    out: str
    algorithm: str
    trials: int
    folds: int
    categories: tuple[str, ...]
    seeds: tuple[int, ...]
    draws: tuple[int, ...]
    shots: tuple[int, ...]
    backbones: tuple[str, ...] = ()  # with where their weights come from, and their licences


@dataclass(frozen=True, kw_only=True)
class Running:
    """Trials begin to run, or do no longer."""

    counts: Counts
    best: Best | None
    on: bool


@dataclass(frozen=True, kw_only=True)
class Building:
    """What is being built at this moment: a cold sweep does little else for its first minutes."""

    under_way: tuple[str, ...]
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class FoldDone:
    """A fold was scored, or failed: then there is no accuracy and `status` says why."""

    trial: int
    category: str
    seed: int
    draw: int
    shots: int
    status: str
    accuracy: float | None
    seconds: float | None
    reused: bool
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class TrialDone:
    """A trial has all its folds; NaN where no seed has all categories."""

    trial: int
    configuration: str
    mean: float
    std: float
    best: Best | None
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class TrialStopped:
    """A trial was stopped early, for the folds that it has say that it is worse than the best.

    `estimate`: of what it would have scored by the objective, in [0, 1].
    """

    trial: int
    configuration: str
    reason: str
    estimate: float
    best: Best | None
    counts: Counts


@dataclass(frozen=True, kw_only=True)
class TrialLost:
    """A trial ended without its folds, because its own process died again and again."""

    trial: int


@dataclass(frozen=True, kw_only=True)
class NewBest:
    """No trial before was as good."""

    best: Best


@dataclass(frozen=True, kw_only=True)
class Finishing:
    """No fold is started any more; so many are running and will be told."""

    reason: str
    folds: int


@dataclass(frozen=True, kw_only=True)
class Done:
    """The sweep has come to an end, of whatever kind.

    Attributes:
        status: done, failed, paused (the time budget), interrupted or stopped (it cannot go on).
        reason: what is left to do, or nothing.
        summary: what summary.csv holds; None if no fold was scored.
        labels: of the trials, in words.
        caveats: what must stand beside the numbers.
        files: where the results are, by what they are.
    """

    name: str
    status: str
    reason: str
    counts: Counts
    best: Best | None
    seconds: float
    summary: pd.DataFrame | None
    labels: Mapping[int, str]
    caveats: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)


Event = (
    Warned
    | Noted
    | Started
    | Running
    | Building
    | FoldDone
    | TrialDone
    | TrialStopped
    | TrialLost
    | NewBest
    | Finishing
    | Done
)


class ProgressView(ABC):
    """Shows events.

    Attributes:
        console: for what is told beside events, such as what the sweep is doing now; silent where only events count.
    """

    console: Console

    @abstractmethod
    def tell(self, event: Event) -> None:
        """Show an event, or not. May be called from several threads."""
