"""One round of chaos: a sweep, a moment, a victim, and what came of it."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from fsamc.store.store import Store
from sweeps.results.files import read_json
from tests.chaos.places import Cluster, Laptop
from tests.chaos.scene import same_tables, tracked, unsound, write_plan
from tests.sweeps.small import Lab, n_rows, table, write_materials

_MOST_RUNS = 4


@dataclass(frozen=True)
class Moment:
    """Seconds after a sweep's start, and folds written by then."""

    seconds: float
    folds: int


@dataclass(frozen=True)
class RoundResult:
    """How a round went: when the kill was, how often the command was given, what is wrong in the end."""

    search: str
    kill: Moment
    runs: int
    wrong: list[str]


@dataclass(frozen=True)
class Sweep:
    """One that has its own folders; `words` do not say where it runs and is tracked."""

    out: Path
    words: list[str]


@dataclass(frozen=True)
class Undisturbed:
    """A sweep that nobody disturbed."""

    out: Path
    seconds: float
    tracked: dict[str, Any]


class Rounds:
    """Everything rounds share: materials, a server, and an undisturbed sweep of each search.

    Args:
        root: folder for all of it.
        where: sweeps run.
        seed: of the moments.
    """

    def __init__(self, root: Path, where: type[Laptop] | type[Cluster], *, seed: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        materials = write_materials(root / "materials")
        self.lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
        self._moments = random.Random(seed)
        self._place = where(root, self._moments)
        self._undisturbed: dict[str, Undisturbed] = {}
        self._count = 0

    def __enter__(self) -> Rounds:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._place.stop()

    def undisturbed(self, search: str) -> Undisturbed:
        """The sweep that the others of this search are held against."""
        if search not in self._undisturbed:
            sweep = self._sweep(search, f"undisturbed-{search}")
            begun = time.monotonic()
            _succeed(self._start(sweep))
            seconds = time.monotonic() - begun
            self._undisturbed[search] = Undisturbed(sweep.out, seconds, self._tracked(search, sweep.out))
        return self._undisturbed[search]

    def round(self, part: str, search: str) -> RoundResult:
        """Kill `part` once at a random moment of a sweep, let it come to its end, and compare."""
        reference = self.undisturbed(search)
        killed = None
        while killed is None:
            self._count += 1
            sweep = self._sweep(search, f"round-{self._count}")
            process = self._start(sweep)
            killed = self._kill(part, process, sweep.out, self._moment(reference))
            runs, said = 1, _ended(process)
            while process.returncode != 0 and runs < _MOST_RUNS:
                process, runs = self._start(sweep), runs + 1
                said = _ended(process)
        if process.returncode != 0:
            return RoundResult(
                search, killed, runs, [f"exit code {process.returncode} after {runs} runs: {said[-300:]}"]
            )
        return RoundResult(search, killed, runs, self._wrong(search, sweep.out, reference))

    def _moment(self, reference: Undisturbed) -> Moment:
        """One in two while folds are written, which is soon over; the others at any time, the start included."""
        if self._moments.random() < 0.5:
            return Moment(0.0, self._moments.randrange(len(table(reference.out))))
        return Moment(self._moments.uniform(0, reference.seconds), 0)

    def _sweep(self, search: str, name: str) -> Sweep:
        study = self._place.study(name) if search == "optuna" else {}
        plan, cache = write_plan(self.lab, search, study), f"{name}-cache"
        words = self.lab.words(plan, "resources.workers=2", out=name, cache=cache)
        return Sweep(self.lab.root / name, [*words, "--resume", "auto"])

    def _start(self, sweep: Sweep) -> subprocess.Popen[str]:
        words = [*sweep.words, "--tracking-uri", self._place.tracking, *self._place.words]
        return self.lab.start(words, self._place.environment)

    def _tracked(self, search: str, out: Path) -> dict[str, Any]:
        return tracked(self._place.tracking, search, read_json(out / "identity.json")["run"])

    def _kill(self, part: str, process: subprocess.Popen[str], out: Path, moment: Moment) -> Moment | None:
        """Kill at the moment, or as soon after as there is such a part; None if the sweep was faster."""
        begun = time.monotonic()
        while process.poll() is None:
            reached = time.monotonic() - begun >= moment.seconds and n_rows(out) >= moment.folds
            if reached:
                when = Moment(time.monotonic() - begun, n_rows(out))
                if self._place.strike(part, process):
                    return when
            time.sleep(0.01)
        return None

    def _wrong(self, search: str, out: Path, reference: Undisturbed) -> list[str]:
        if search == "optuna":
            fresh = self.lab.root / "recomputed"
            wrong = unsound(out, self.lab, Store(fresh))
            states = {name: run["status"] for name, run in self._tracked(search, out).items()}
            return wrong + [f"MLflow: run {name} is {state}" for name, state in states.items() if state != "FINISHED"]
        wrong = same_tables(out, reference.out)
        held = self._tracked(search, out)
        names = sorted({*held, *reference.tracked})
        differ = [name for name in names if held.get(name) != reference.tracked.get(name)]
        if not wrong and not differ:
            shutil.rmtree(out)
        return wrong + [_difference(name, held.get(name), reference.tracked.get(name)) for name in differ]


def _succeed(process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, f"{output}\n{errors}"


def _ended(process: subprocess.Popen[str]) -> str:
    """What it said was wrong."""
    return process.communicate(timeout=900)[1]


def _difference(name: str, held: dict[str, Any] | None, expected: dict[str, Any] | None) -> str:
    if held is None or expected is None:
        return f"MLflow: run {name} is {'missing' if held is None else 'too many'}"
    parts = [f"{key}: {held[key]!r:.150} for {expected[key]!r:.150}" for key in held if held[key] != expected[key]]
    return f"MLflow: run {name}: {'; '.join(parts)}"
