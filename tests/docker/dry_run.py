"""Runs the steps of docker/Dockerfile one after the other without Docker, to show that they install and start.

A stage's image is stood in for by a new virtual environment and an empty home: the paths of the image lie under a
temporary folder, a RUN goes to a shell there, as an unprivileged user where the caller is root. What the official Ray
images bring is not there, so what is missing in the Dockerfile is missed. `make docker-dry-run ARGS="--target gpu"`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.docker.steps import ROOT, Stage, Step, read_stages

HOME = "/home/ray"
NOBODY = "nobody"
PASSED_ON = ("PIP_", "SSL_CERT", "REQUESTS_CA")  # and proxies: how this machine reaches the registries
QUIET = {"PIP_PROGRESS_BAR": "off", "PIP_QUIET": "1"}
AFTERWARDS = (
    ["fsamc", "data", "demo", "demo"],
    ["fsamc", "data", "inspect", "demo/datasets"],
    ["ray", "start", "--help"],
    ["mlflow", "server", "--help"],
)


class Place:
    """Where a stage's image would be: `root` stands for its /, a virtual environment for its Python."""

    def __init__(self, root: Path, python: Path, arguments: dict[str, str]) -> None:
        self.root, self.workdir, self._arguments = root, HOME, arguments
        self._given: dict[str, str] = {}
        for folder in (self.path(HOME), self.path("/tmp")):
            folder.mkdir(parents=True)
            own(folder)
        own(root)
        self.call([str(python), "-m", "venv", str(root / "python")])

    def path(self, inside: str) -> Path:
        """Where a path of the image is here; a relative one is taken from the WORKDIR."""
        return self.root / os.path.normpath(os.path.join(self.workdir, inside)).lstrip("/")  # noqa: PTH118

    def take(self, step: Step, others: dict[str, Place]) -> None:
        """Carry out one step."""
        if step.name == "RUN":
            self.call(["/bin/sh", "-c", step.rest])
        elif step.name == "COPY":
            self._copy(step, others)
        elif step.name == "WORKDIR":
            self.workdir = step.rest
            self.path(".").mkdir(parents=True, exist_ok=True)
            own(self.path("."))
        elif step.name == "ENV":
            self._given |= {name: self._moved(value) for name, value in step.pairs().items()}
        elif step.name == "ARG":
            self._given |= {name: self._arguments.get(name, value) for name, value in step.pairs().items()}
        elif step.name not in ("LABEL", "CMD"):
            raise SystemExit(f"{step.name}: the dry run does not know this instruction; teach it")

    def call(self, command: list[str]) -> None:
        """Run in the WORKDIR; the output goes to the screen, and an exit code other than 0 ends the dry run."""
        who = {"user": NOBODY, "group": self.path(HOME).stat().st_gid, "extra_groups": []} if is_root() else {}
        done = subprocess.run(command, cwd=self.path("."), env=self._environment(), stdin=subprocess.DEVNULL, **who)
        if done.returncode:
            raise SystemExit(f"exit code {done.returncode}: {' '.join(command)}")

    def _environment(self) -> dict[str, str]:
        passed = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(PASSED_ON) or name.lower().endswith("_proxy")
        }
        own_paths = {"HOME": str(self.path(HOME)), "TMPDIR": str(self.root / "tmp"), "LANG": "C.UTF-8"}
        return QUIET | passed | own_paths | {"PATH": f"{self.root / 'python' / 'bin'}:/usr/bin:/bin"} | self._given

    def _copy(self, step: Step, others: dict[str, Place]) -> None:
        *sources, target = step.words()
        origin = step.option("from")
        for source in sources:
            given = others[origin].path(source) if origin else ROOT / source
            goal = self.path(target) / (given.name if given.is_file() else "")
            if given.is_dir():
                shutil.copytree(given, goal, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                goal.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(given, goal)
        for path in (self.path(target), *self.path(target).rglob("*")):
            own(path)

    def _moved(self, value: str) -> str:
        return str(self.path(value)) if value.startswith("/") else value


def needed(target: str, stages: dict[str, Stage]) -> list[Stage]:
    """The target's stage and those that it copies from, in the file's order."""
    sources = {step.option("from") for step in stages[target].steps}
    return [stage for name, stage in stages.items() if name == target or name in sources]


def is_root() -> bool:
    """Whether steps have to be handed to somebody with fewer rights."""
    return os.geteuid() == 0


def own(path: Path) -> None:
    """Hand a path to whoever runs the steps."""
    if is_root():
        shutil.chown(path, NOBODY)


def find_python() -> Path:
    """A Python of this version that whoever runs the steps may run."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(sys._base_executable), *(Path(folder) / name for folder in ("/usr/local/bin", "/usr/bin"))]
    who = {"user": NOBODY, "extra_groups": []} if is_root() else {}
    for python in candidates:
        try:
            subprocess.run([str(python), "-c", "import ensurepip, venv"], cwd="/", check=True, **who)
        except (OSError, subprocess.CalledProcessError):
            continue
        return python
    raise SystemExit(f"no {name} with venv that {NOBODY} may run; run this as another user than root")


def dry_run(target: str, arguments: dict[str, str]) -> None:
    """Run all steps of a target and of the stages that it needs, then what a user would start."""
    stages = read_stages()
    with tempfile.TemporaryDirectory(prefix="fsamc-docker-") as folder:
        Path(folder).chmod(0o755)
        places: dict[str, Place] = {}
        for stage in needed(target, stages):
            say(f"FROM {stage.image} AS {stage.name} (a new virtual environment here)")
            place = places[stage.name] = Place(Path(folder) / stage.name, find_python(), arguments)
            for step in stage.steps:
                say(str(step), skipped=[option for option in step.options if option.startswith("mount")])
                started = time.monotonic()
                place.take(step, places)
                if step.name == "RUN":
                    print(f"    done in {time.monotonic() - started:.0f} s", flush=True)
        command = next(step for step in reversed(stages[target].steps) if step.name == "CMD").words()
        for words in (command, *AFTERWARDS):
            say(f"starting {' '.join(words)}")
            places[target].call(words)
        used = sum(path.lstat().st_size for path in places[target].root.rglob("*"))
        say(f"{target}: all steps ran and what they installed starts; {used / 1e9:.1f} GB on top of the Ray image")


def say(line: str, skipped: Sequence[str] = ()) -> None:
    """A step as it starts, and which of its options mean nothing here."""
    print(f"=== {' '.join(line.split())}{''.join(f' [not here: --{option}]' for option in skipped)}", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], prog="make docker-dry-run")
    parser.add_argument("--target", default="cpu", choices=["cpu", "gpu"])
    parser.add_argument("--build-arg", action="append", default=[], metavar="NAME=VALUE")
    given = parser.parse_args()
    dry_run(given.target, dict(word.split("=", 1) for word in given.build_arg))


if __name__ == "__main__":
    main()
