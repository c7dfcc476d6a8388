"""The Dockerfile as stages of steps, and the files that a build is given."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

from dockerfile_parse import DockerfileParser

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


@dataclass(frozen=True)
class Step:
    """One instruction: its name, its options (`--chown` without the dashes), and what is left of it."""

    name: str
    options: tuple[str, ...]
    rest: str

    def __str__(self) -> str:
        return f"{self.name} {self.rest}"

    def pairs(self) -> dict[str, str]:
        """KEY=VALUE of ENV, LABEL and ARG; an ARG without a default is left out."""
        return dict(word.split("=", 1) for word in shlex.split(self.rest) if "=" in word)

    def words(self) -> list[str]:
        """The words of a COPY, or of a CMD in its JSON form."""
        return json.loads(self.rest) if self.rest.startswith("[") else shlex.split(self.rest)

    def option(self, name: str) -> str | None:
        """The value of --name, if it is there."""
        return next((given.partition("=")[2] for given in self.options if given.partition("=")[0] == name), None)


@dataclass
class Stage:
    """What stands between a FROM and the next one."""

    name: str
    image: str
    steps: list[Step] = field(default_factory=list)


def read_stages(dockerfile: Path = DOCKERFILE) -> dict[str, Stage]:
    """The stages by name, in order; ARGs before the first FROM are filled into the images' names."""
    with dockerfile.open("rb") as file:
        found = [part for part in DockerfileParser(fileobj=file).structure if part["instruction"] != "COMMENT"]
    stages: dict[str, Stage] = {}
    known: dict[str, str] = {}
    for part in found:
        step = _step(part["instruction"], part["value"])
        if step.name == "FROM":
            image, _, name = Template(step.rest).substitute(known).split()
            stages[name] = Stage(name, image)
        elif stages:
            stages[next(reversed(stages))].steps.append(step)
        else:
            known |= step.pairs()
    return stages


def _step(name: str, value: str) -> Step:
    options = []
    while (word := re.match(r"--(\S+)\s+", value)) is not None:
        options.append(word[1])
        value = value[word.end() :]
    return Step(name, tuple(options), value)
