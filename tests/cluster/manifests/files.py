"""What the tests of manifests share: the files, and whether our own command line takes a command that stands in one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import typer
import yaml

from sweeps.cli import app
from sweeps.plan.load import load_plan

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "cluster" / "manifests"
KUBERNETES = MANIFESTS / "kubernetes"


def documents(file: Path) -> list[dict[str, Any]]:
    """What a YAML file holds, with aliases and merges resolved."""
    return list(yaml.safe_load_all(file.read_text(encoding="utf-8")))


def pinned(package: str) -> str:
    """The version that constraints.txt asks for."""
    return re.search(rf"^{package}==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)[1]


def check_command(command: str) -> dict[str, Any]:
    """Fail unless it is a `fsamc sweep` that our command line takes, with a valid plan; what its options say."""
    program, name, *words = shlex.split(command)
    assert (program, name) == ("fsamc", "sweep"), command
    sweep = typer.main.get_command(app).commands["sweep"]
    given = sweep.make_context("sweep", words).params
    load_plan(given["plan"], given["changes"] or [])
    return given


def commands_in(text: str) -> list[str]:
    """The `fsamc sweep` commands in a page's console blocks, lines that end in a backslash joined."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [f"fsamc sweep{line.partition('fsamc sweep')[2]}" for line in lines if "fsamc sweep" in line]


def size(text: str) -> int:
    """Bytes of a quantity such as 2Gi, 2gb or 1000000000."""
    number, unit = re.fullmatch(r"(\d+)([KMG]i|[kmg]b?|)", text).groups()
    return int(number) * 1024 ** " kmg".index(unit[:1].lower() or " ")
