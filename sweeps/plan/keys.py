"""Names of all knobs: the dotted keys of a plan, and the nearest to one that is none."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel

from fsamc.config.compute import Compute
from fsamc.config.dotted import Problem, flatten
from fsamc.config.kinds import kinds_of
from fsamc.config.scoring import Scoring
from fsamc.config.settings import Settings
from sweeps.plan.kinds import Tree, mapping, owners
from sweeps.plan.older_plans import new_name
from sweeps.plan.plan_file import value_of
from sweeps.plan.settings import Plan
from sweeps.plan.yaml_lines import Place, as_yaml


def knobs(model: type[BaseModel] = Plan, prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield (dotted key, default as YAML, meaning) of every field below `model`; KEY is a key of the user's own.

    The meaning begins with the kinds that have the knob where not all have it. `base.compute`, `base.shots` and
    `base.scoring` are left out: a plan takes them from `resources`, `folds` and `objective`.
    """
    for name, field in model.model_fields.items():
        key, kind = f"{prefix}{name}", field.annotation
        if kind in (Compute, Scoring) or key == "base.shots":
            continue
        if kinds := kinds_of(field):
            yield f"{key}.kind", field.default.kind, f"{field.description}: {', '.join(kinds)}"
            yield from _knobs_of(kinds, f"{key}.")
            continue
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from knobs(kind, f"{key}.")
            continue
        yield key, "" if field.is_required() else as_yaml(field.default), field.description or ""
        for inner in get_args(kind):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from knobs(inner, f"{key}.KEY.")


def _knobs_of(kinds: Mapping[str, type[Settings]], prefix: str) -> Iterator[tuple[str, str, str]]:
    """Yield the knobs of all kinds, each once."""
    having: dict[tuple[str, str, str], list[str]] = {}
    for kind, settings in kinds.items():
        for knob in knobs(settings, prefix):
            having.setdefault(knob, []).append(kind)
    for (key, default, meaning), of in having.items():
        if key != f"{prefix}kind":
            yield key, default, meaning if len(of) == len(kinds) else f"{', '.join(of)}: {meaning}"


def key_problem(keys: Collection[str], key: str, place: Place) -> Problem | None:
    """Return what is wrong with a key that is varied, beside the `keys` of the base and of the sweep's kinds."""
    if not key.startswith("finetune.epochs.") and not any(f"{name}.".startswith(f"{key}.") for name in keys):
        text = _of_another_kind(key) if owners(key) else unknown_key(f"{'.'.join(place)}.{key}")
        return Problem((*place, key), text, unknown=True)
    if key.startswith("compute"):
        return Problem((*place, key), "set resources.cpus instead; it is not a knob of the method")
    if key == "shots":
        return Problem(
            (*place, key),
            "how many images are the support is a condition that every trial is scored at, not a knob; "
            "list the numbers in folds.shots",
        )
    if key.startswith("scoring"):
        return Problem(
            (*place, key), "set `objective`, folds.score and folds.pool instead; they are the same for all trials"
        )
    return None


def _of_another_kind(key: str) -> str:
    """Say which kinds have a dotted key of the base that no kind of the sweep has."""
    kind = f"{key.partition('.')[0]}.kind"
    return f"only {kind} {', '.join(owners(key))} has it, which no trial here is: set or vary {kind}, or leave it out"


def unknown_key(key: str, tree: Tree | None = None) -> str:
    """Say which key is nearest to one that does not exist, or which kinds have it; `tree` is the plan it is in."""
    own = re.sub(r"^(?:base|configurations\.\d+|space(?:\..+\.when)?)\.", "", key)
    if new := new_name(own):
        return f"unknown key; it is called {new} now"
    if own != key and owners(own):
        return _of_another_kind(own)
    meant = nearest_key(key)
    if meant == key:  # `head: {kind: …}` in the space
        return f"unknown key; the space takes dotted names: write `{key.partition('.')[2]}` as one key"
    if meant and (below := _only_key(mapping(tree), tuple(key.split(".")))):  # as in `base.haed.kind=ridge`
        meant = nearest_key(f"{meant}.{below}") or meant
    return f"unknown key; did you mean {meant}?" if meant else "unknown key; `fsamc plan show` lists them all"


def _only_key(tree: Tree, place: Place) -> str:
    """Return the one key that a plan holds below a place; empty where it holds several, or a value."""
    flat = flatten(mapping(value_of(tree, place)))
    return next(iter(flat)) if len(flat) == 1 else ""


def nearest_key(key: str) -> str | None:
    """Return the key that was probably meant: the same name in another place, or nearly the same name."""
    head, dot, knob = key.partition(".")
    if dot and head in ("space", "configurations"):  # their keys are those of the base
        lead, sought = (f"{head}.", knob) if head == "space" else ("", knob.partition(".")[2])
        meant = _nearest(f"base.{sought}", [name for name in _names() if name.startswith("base.")])
        return meant and f"{lead}{meant.removeprefix('base.')}"
    within = [name for name in _names() if name.partition(".")[0] == head]
    return _nearest(key, within or _names())


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
