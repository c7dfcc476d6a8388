"""The names of all knobs: the dotted keys of a plan, and which of them somebody meant."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any, get_args

import yaml
from pydantic import BaseModel

from fsamc.config.compute import Compute
from fsamc.config.scoring import Scoring
from sweeps.plan.settings import Plan


def knobs(model: type[BaseModel] = Plan, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(dotted key, default as YAML, meaning) of every field below `model`; KEY stands for a key of the user's own.

    `base.compute` and `base.scoring` are left out: a plan takes them from `resources`, `folds` and `objective`.
    """
    for name, field in model.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        if kind in (Compute, Scoring):
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from knobs(kind, f"{key}.")
            continue
        yield key, "" if field.is_required() else _as_yaml(field.default), field.description or ""
        for inner in get_args(kind):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from knobs(inner, f"{key}.KEY.")


def unknown_key(key: str) -> str:
    """What to say of a key that does not exist: the nearest that does."""
    meant = nearest(key)
    if meant == key:  # `head: {kind: …}` in the space
        return f"unknown key; the space takes dotted names: write `{key.partition('.')[2]}` as one key"
    return f"unknown key; did you mean {meant}?" if meant else "unknown key; `fsamc plan show` lists them all"


def nearest(key: str) -> str | None:
    """The known key that was probably meant: the same name in another place, or nearly the same name."""
    head, dot, knob = key.partition(".")
    if dot and head in ("space", "configurations"):  # their keys are those of the base
        lead, sought = (f"{head}.", knob) if head == "space" else ("", knob.partition(".")[2])
        found = _nearest(f"base.{sought}", [name for name in _names() if name.startswith("base.")])
        return found and f"{lead}{found.removeprefix('base.')}"
    return _nearest(key, _names())


def _nearest(key: str, names: list[str]) -> str | None:
    group, _, last = key.rpartition(".")
    siblings = {name.rpartition(".")[2]: name for name in names if name.rpartition(".")[0] == group}
    elsewhere = [name for name in names if name.endswith(f".{last}")]
    if near := get_close_matches(last, siblings, n=1, cutoff=0.6 if len(elsewhere) != 1 else 0.85):
        return siblings[near[0]]
    if len(elsewhere) == 1:
        return elsewhere[0]
    return next(iter(get_close_matches(key, names, n=1, cutoff=0.85)), None)


def _names() -> list[str]:
    """Every knob and every group of knobs."""
    plain = [key for key, _, _ in knobs() if ".KEY" not in key]
    parts = [key.split(".") for key in plain]
    return sorted({".".join(part[:count]) for part in parts for count in range(1, len(part) + 1)})


def _as_yaml(value: Any) -> str:
    text: str = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")
