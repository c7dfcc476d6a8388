"""Kinds of heads and detectors in a plan: which of them its sweep has, and what belongs to which."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fsamc.config.kinds import kinds_of
from fsamc.fold.config import FoldConfig

Tree = Mapping[Any, Any]
Kinds = Mapping[str, list[str]]
FIELDS = {name: kinds for name, field in FoldConfig.model_fields.items() if (kinds := kinds_of(field))}


def owners(key: str) -> list[str]:
    """Return the kinds that have a dotted key such as `head.temperature`; none where it is no key of a kind."""
    field, _, name = key.partition(".")
    kinds = FIELDS.get(field, {}) if name != "kind" else {}
    return [kind for kind, settings in kinds.items() if name in settings.model_fields]


def has(config: FoldConfig, key: str) -> bool:
    """Whether a configuration has a dotted key, as its kinds of head and detector go."""
    having = owners(key)
    return not having or getattr(config, _field(key)).kind in having


def sweep_kinds(tree: Tree) -> dict[str, list[str]]:
    """Return the kinds of heads and of detectors that a plan's base, space and configurations name, base's first."""
    return {field: list(dict.fromkeys(str(kind) for kind in _named(tree, field) if kind)) for field in FIELDS}


def _named(tree: Tree, field: str) -> Iterator[Any]:
    yield _kind(mapping(tree.get("base")).get(field), field)
    space, entries = mapping(tree.get("space")), tree.get("configurations")
    yield from _choices(space.get(f"{field}.kind"))
    yield from (_kind(settings, field) for settings in _choices(space.get(field)))
    for entry in entries if isinstance(entries, list | tuple) else ():
        yield from (mapping(entry).get(f"{field}.kind"), mapping(mapping(entry).get(field)).get("kind"))


def trial_kind(field: str, base: str, values: Tree) -> str:
    """Return the kind of head or of detector that a trial's values, by dotted key, make of the `base`'s."""
    whole = _kind(values[field], field) if field in values else base
    return str(values.get(f"{field}.kind", whole))


def parted(tree: Tree) -> tuple[Tree, dict[str, Any]]:
    """Return a plan without the settings of its base that belong to other kinds of its sweep; and these, by key."""
    kinds = sweep_kinds(tree)
    aside = {key: value for key, value in _settings(tree).items() if is_aside(key, kinds)}
    return _without(tree, aside), aside


def is_aside(key: str, kinds: Kinds) -> bool:
    """Whether a dotted key belongs to kinds of the sweep, and not to its base's."""
    return _is_of(key, kinds) and kinds[_field(key)][0] not in owners(key)


def without_lost(tree: Tree, changed: Tree) -> dict[Any, Any]:
    """Return a plan without the settings of its base that only kinds have which a change of the plan takes away."""
    before, after = sweep_kinds(tree), sweep_kinds(changed)
    return _without(tree, [key for key in _settings(tree) if _is_of(key, before) and not _is_of(key, after)])


def _is_of(key: str, kinds: Kinds) -> bool:
    return not {*owners(key)}.isdisjoint(kinds[_field(key)])


def _settings(tree: Tree) -> dict[str, Any]:
    """Return the base's settings of its head and detector, by dotted key."""
    base = mapping(tree.get("base"))
    return {f"{field}.{name}": value for field in FIELDS for name, value in mapping(base.get(field)).items()}


def _without(tree: Tree, keys: Collection[str]) -> dict[Any, Any]:
    base = mapping(tree.get("base"))
    for field in FIELDS if keys else ():
        kept = {name: value for name, value in mapping(base.get(field)).items() if f"{field}.{name}" not in keys}
        base = {**base, field: kept} if isinstance(base.get(field), Mapping) else base
    return {**tree, "base": base} if keys else {**tree}


def _kind(settings: Any, field: str) -> Any:
    return mapping(settings).get("kind") or FoldConfig.model_fields[field].default.kind


def _choices(distribution: Any) -> list[Any]:
    choice = mapping(distribution).get("choice")
    return list(choice) if isinstance(choice, list | tuple) else []


def _field(key: str) -> str:
    return key.partition(".")[0]


def mapping(part: Any) -> Tree:
    """Return a part of a plan that should be a mapping; empty where it is none."""
    return part if isinstance(part, Mapping) else {}
