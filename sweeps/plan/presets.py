"""Presets, the plans that come with the product: their names, their texts, what each is."""

from __future__ import annotations

from importlib import resources
from itertools import takewhile
from typing import NamedTuple

from natsort import natsorted


class Preset(NamedTuple):
    """A preset, and what it is in a sentence or two."""

    name: str
    about: str


def preset_names() -> list[str]:
    """List the presets by name, `table2` before `table10`."""
    files = (resources.files("sweeps") / "presets").iterdir()
    names = (file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return natsorted(names)


def preset_text(name: str) -> str:
    """Return a preset's YAML."""
    return (resources.files("sweeps") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")


def presets() -> list[Preset]:
    """List the presets with the comment that each begins with."""
    return [Preset(name, _comment(preset_text(name))) for name in preset_names()]


def _comment(text: str) -> str:
    return " ".join(line.lstrip("# ") for line in takewhile(lambda line: line.startswith("#"), text.splitlines()))
