"""One round of chaos: a sweep, a moment, a victim, and what came of it."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from fsamc.store import Store
from sweeps.files import read_json
from tests.chaos.scene import same_tables, tracked, unsound, write_plan
from tests.mlflow_server import MlflowServer
from tests.sweeps.small import Lab, kill_titled, n_rows, table, write_materials

# What dies, by the title of its process; the driver and the server are known by their numbers.
PARTS = {
    "driver": "",
    "worker": "ray::_run_fold",
    "trial": "ray::ImplicitFunc",
    "bank": "ray::BankActor",
    "keeper": "ray::Keeper",
    "mlflow": "",
}
_MOST_RUNS = 4


@dataclass(frozen=True)
class Moment:
    """Seconds after a sweep's start, and folds written by then."""

    seconds: float
    folds: int


@dataclass(frozen=True)
class Found:
    """How a round went: when the kill was, how often the command was given, what is wrong in the end."""

    search: str
    kill: Moment
    runs: int
    wrong: list[str]


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
        seed: of the moments.
    """

    def __init__(self, root: Path, *, seed: int) -> None:
        root.mkdir(parents=True, exist_ok=True)
        materials = write_materials(root / "materials")
        self.lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
        (root / "server").mkdir(exist_ok=True)
        self.server = MlflowServer(root / "server")
        self._moments = random.Random(seed)
        self._undisturbed: dict[str, Undisturbed] = {}
        self._count = 0

    def __enter__(self) -> Rounds:
        self.server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.kill()

    def undisturbed(self, search: str) -> Undisturbed:
        """The sweep that the others of this search are held against."""
        if search not in self._undisturbed:
            words, out = self._words(search, f"undisturbed-{search}")
            begun = time.monotonic()
            _succeed(self.lab.start(words))
            seconds = time.monotonic() - begun
            self._undisturbed[search] = Undisturbed(out, seconds, tracked(self.server.uri, _run_of(out)))
        return self._undisturbed[search]

    def round(self, part: str, search: str) -> Found:
        """Kill `part` once at a random moment of a sweep, let it come to its end, and compare."""
        reference = self.undisturbed(search)
        killed = None
        while killed is None:
            self._count += 1
            words, out = self._words(search, f"round-{self._count}")
            process = self.lab.start(words)
            killed = self._kill(part, process, out, self._moment(reference))
            runs = 1
            while _ended(process) != 0 and runs < _MOST_RUNS:
                process, runs = self.lab.start(words), runs + 1
        if process.returncode != 0:
            return Found(search, killed, runs, [f"exit code {process.returncode} after {runs} runs"])
        return Found(search, killed, runs, self._wrong(search, out, reference))

    def _moment(self, reference: Undisturbed) -> Moment:
        """One in two while folds are written, which is soon over; the others at any time, the start included."""
        if self._moments.random() < 0.5:
            return Moment(0.0, self._moments.randrange(len(table(reference.out))))
        return Moment(self._moments.uniform(0, reference.seconds), 0)

    def _words(self, search: str, name: str) -> tuple[list[str], Path]:
        plan, cache = write_plan(self.lab, search), f"{name}-cache"
        words = self.lab.words(plan, "resources.workers=2", out=name, cache=cache)
        return [*words, "--tracking-uri", self.server.uri, "--resume", "auto"], self.lab.root / name

    def _kill(self, part: str, process: subprocess.Popen[str], out: Path, moment: Moment) -> Moment | None:
        """Kill at the moment, or as soon after as there is such a part; None if the sweep was faster."""
        begun = time.monotonic()
        strike = self._strike(part, process)
        while process.poll() is None:
            reached = time.monotonic() - begun >= moment.seconds and n_rows(out) >= moment.folds
            if reached and strike():
                return Moment(time.monotonic() - begun, n_rows(out))
            time.sleep(0.01)
        return None

    def _strike(self, part: str, process: subprocess.Popen[str]) -> Callable[[], bool]:
        if part == "mlflow":
            return self._restart_server
        if part == "driver":
            return lambda: process.send_signal(signal.SIGKILL) is None
        return lambda: kill_titled(process.pid, PARTS[part])

    def _restart_server(self) -> bool:
        self.server.kill()
        time.sleep(self._moments.uniform(0, 5))
        self.server.start()
        return True

    def _wrong(self, search: str, out: Path, reference: Undisturbed) -> list[str]:
        if search == "optuna":
            fresh = self.lab.root / "recomputed"
            wrong = unsound(out, self.lab, Store(fresh))
            states = {name: run["status"] for name, run in tracked(self.server.uri, _run_of(out)).items()}
            return wrong + [f"MLflow: run {name} is {state}" for name, state in states.items() if state != "FINISHED"]
        wrong = same_tables(out, reference.out)
        held = tracked(self.server.uri, _run_of(out))
        names = sorted({*held, *reference.tracked})
        differ = [name for name in names if held.get(name) != reference.tracked.get(name)]
        if not wrong and not differ:
            shutil.rmtree(out)
        return wrong + [_difference(name, held.get(name), reference.tracked.get(name)) for name in differ]


def _run_of(out: Path) -> str:
    return str(read_json(out / "identity.json")["run"])


def _succeed(process: subprocess.Popen[str]) -> None:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == 0, f"{output}\n{errors}"


def _ended(process: subprocess.Popen[str]) -> int:
    process.communicate(timeout=600)
    return process.returncode


def _difference(name: str, held: dict[str, Any] | None, expected: dict[str, Any] | None) -> str:
    if held is None or expected is None:
        return f"MLflow: run {name} is {'missing' if held is None else 'too many'}"
    parts = [f"{key}: {held[key]!r:.150} for {expected[key]!r:.150}" for key in held if held[key] != expected[key]]
    return f"MLflow: run {name}: {'; '.join(parts)}"
