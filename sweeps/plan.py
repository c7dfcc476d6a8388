"""Plans: a preset or a YAML file, changed by `key=value`, checked whole before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any

import yaml

from fsamc.config import Distribution, FoldConfig, Plan
from fsamc.config.dotted import flatten, updated, validated, with_value
from fsamc.errors import BadInput
from fsamc.store import digest
from fsamc.weights import identity, is_program
from sweeps.plan_file import read_tree
from sweeps.space import active, ends, holds, in_order, value_at

# What changes how fast a sweep is, and no number in it.
_PACE: dict[str, Any] = {"resources": {"workers", "folds_at_once", "retries", "system_metrics", "tracking_patience"}}
# A backbone is hashed by content, wherever the file lies.
_FILES: dict[str, Any] = {"features": {"backbone", "weights"}}


def load_plan(
    source: str, changes: Sequence[str] = (), *, backbone: str | None = None, weights: str | None = None
) -> Plan:
    """The plan `source`, a preset's name or a YAML file, with `key=value` changes.

    Args:
        source: name or path.
        changes: `DOTTED.KEY=YAML` each, in order.
        backbone: wins over the plan's.
        weights: state dict of a named backbone, wins over the plan's.

    Raises:
        BadInput: no such plan, no YAML, an unknown key, or a value that may not be; also within the space.
    """
    tree = read_tree(source, changes)
    for name, given in (("backbone", backbone), ("weights", weights)):
        if given is not None:
            tree = with_value(tree, f"base.features.{name}", given)
    tree.setdefault("name", Path(source).stem)
    plan = _with_scoring(validated(Plan, tree, where=source), source)
    plan = plan.model_copy(update={"space": {key: _conditioned(plan, key, source) for key in plan.space}})
    _check(plan, source)
    space = {key: _plain(plan, key, given) for key, given in plan.space.items()}
    return plan.model_copy(update={"space": space, "configurations": _plain_list(plan)})


def configuration(plan: Plan, values: Mapping[str, Any]) -> FoldConfig:
    """The plan's base with a trial's values. Raises BadInput for a combination that may not be."""
    return updated(plan.base, values)


def swept(plan: Plan) -> dict[str, Distribution]:
    """The swept keys and where their values come from; of listed configurations, the values that occur."""
    if not plan.configurations:
        return plan.space
    rows = [base_values(plan), *listed_values(plan)]
    return {key: Distribution(choice=_distinct(row[key] for row in rows)) for key in rows[0]}


def base_values(plan: Plan) -> dict[str, Any]:
    """The base's own values of the keys that are swept around it: the configuration of trial 0."""
    if not plan.configurations:
        return active(plan.space, plan.base, {key: value_at(plan.base, key) for key in plan.space})
    return {key: value_at(plan.base, key) for entry in plan.configurations for key in entry}


def listed_values(plan: Plan) -> list[dict[str, Any]]:
    """Each listed configuration's values of the swept keys; where it is silent, the base's."""
    base = base_values(plan)
    return [base | entry for entry in plan.configurations]


def variants(plan: Plan, *, changed: int = 1) -> Iterator[FoldConfig]:
    """The base, and the base with the ends of up to `changed` ranges at a time: what is right for them is for all.

    Where one has a condition, so that it is met. Listed configurations come as they are. Raises BadInput for a
    combination that may not be.
    """
    for count in range(changed + 1):
        for keys in combinations(plan.space, count):
            for values in ends(plan.space, plan.base, keys):
                yield updated(plan.base, values)
    for entry in plan.configurations:
        yield updated(plan.base, entry)


def with_absolute_files(plan: Plan) -> Plan:
    """The plan with the base's files named from the root: a worker's working directory may be another."""
    features = plan.base.features
    files = {"features.backbone": features.backbone if is_program(features) else None}
    files |= {"features.weights": features.weights if features.weights != "random" else None}
    found = {key: str(Path(path).absolute()) for key, path in files.items() if path is not None}
    return plan.model_copy(update={"base": updated(plan.base, found)})


def plan_hash(plan: Plan) -> str:
    """Hash of all that the table depends on: not of how many folds run at once."""
    return digest(identity(plan.base.features), plan.model_dump(mode="json", exclude=_PACE | {"base": _FILES}))


def config_hash(config: FoldConfig) -> str:
    """Twelve hex digits that name a configuration, whatever is measured of it."""
    return digest(identity(config.features), config.model_dump(mode="json", exclude=_FILES | {"scoring": True}))[:12]


def to_yaml(plan: Plan) -> str:
    """The plan as a file that `load_plan` reads back."""
    tree = plan.model_dump(mode="json", exclude={"base": {"compute", "scoring"}})
    tree["space"] = {key: given.model_dump(mode="json", exclude_unset=True) for key, given in plan.space.items()}
    text: str = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120)
    return text


def _with_scoring(plan: Plan, source: str) -> Plan:
    """The plan with what its objective asks of every fold filled in."""
    if plan.base.scoring == plan.scoring:
        return plan
    base = updated(plan.base, {"scoring": plan.scoring.model_dump(mode="json")}, where=source)
    return plan.model_copy(update={"base": base})


def _check(plan: Plan, source: str) -> None:
    """Every listed configuration must be valid, and every end of every range, by itself and beside another key's."""
    for place, entry in enumerate(plan.configurations):
        for key in entry:
            _check_key(plan, key, f"{source}: configurations.{place}")
        updated(plan.base, entry, where=f"{source}: configurations.{place}")
    in_order(plan.space)
    for key, given in plan.space.items():
        if plan.search.algorithm == "grid" and given.choice is None:
            raise BadInput(f"{source}: space.{key}: a grid needs `choice`; list its values or use random or optuna")
        _check_key(plan, key, f"{source}: space")
        for value in given.extremes + _between(given):
            updated(plan.base, _meeting(plan, key) | {key: value}, where=f"{source}: space")
    for key, within in permutations(swept(plan), 2):
        if within.startswith(f"{key}."):
            raise BadInput(f"{source}: {key} holds {within}, and both are varied; vary one of them")
    try:
        for _ in variants(plan, changed=2):
            pass
    except BadInput as error:
        raise BadInput(f"{source}: space: a combination that may not be: {error}") from None


def _check_key(plan: Plan, key: str, where: str) -> None:
    known = flatten(plan.base.model_dump(mode="json"))
    if not key.startswith("finetune.epochs.") and not any(f"{name}.".startswith(f"{key}.") for name in known):
        raise BadInput(f"{where}.{key}: unknown key; `fsamc plan show` lists them all")
    if key.startswith("compute"):
        raise BadInput(f"{where}.{key}: set resources.cpus instead; it is not a knob of the method")
    if key.startswith("scoring"):
        raise BadInput(f"{where}.{key}: set `objective` and folds.score instead; they are the same for all trials")


def _between(given: Distribution) -> tuple[float, ...]:
    """A number inside a continuous range: where only whole ones may be, its ends do not show it."""
    bounds = given.uniform or given.loguniform
    return (bounds[0] + (bounds[1] - bounds[0]) / math.pi,) if bounds else ()


def _plain(plan: Plan, key: str, given: Distribution) -> Distribution:
    """Choices as the configuration holds them, so that `1e-4`, which YAML takes for text, is the base's 0.0001."""
    if given.choice is None:
        return given
    values = [value_at(updated(plan.base, _meeting(plan, key) | {key: value}), key) for value in given.choice]
    if any(value in values[:place] for place, value in enumerate(values)):
        raise BadInput(f"space.{key}: {list(given.choice)} names a value twice; leave one out")
    return given.model_copy(update={"choice": tuple(values)})


def _conditioned(plan: Plan, key: str, source: str) -> Distribution:
    """The key's distribution with the values of its `when` as the configuration holds them; checked."""
    given, when = plan.space[key], {}
    for other, allowed in given.when.items():
        where = f"{source}: space.{key}.when"
        _check_key(plan, other, where)
        if other == key:
            raise BadInput(f"{where}.{other}: a key cannot depend on itself; name another")
        when[other] = tuple(_plain_value(plan, other, value, where) for value in allowed)
        if not any(_can_be(plan, other, value) for value in when[other]):
            raise BadInput(f"{where}.{other}: no trial has one of {list(allowed)} there; correct it or leave it out")
    return given.model_copy(update={"when": when}) if when else given


def _plain_value(plan: Plan, key: str, value: Any, where: str) -> Any:
    return value_at(updated(plan.base, {key: value}, where=where), key)


def _can_be(plan: Plan, key: str, value: Any) -> bool:
    return value_at(plan.base, key) == value or (key in plan.space and holds(plan.space[key], value))


def _meeting(plan: Plan, key: str) -> dict[str, Any]:
    """Values of other keys with which `key` is swept; none where that is always so."""
    found = next(ends(plan.space, plan.base, [key]), {})
    return {other: value for other, value in found.items() if other != key}


def _plain_list(plan: Plan) -> tuple[dict[str, Any], ...]:
    """The listed configurations as the configuration holds their values."""
    made = [(entry, updated(plan.base, entry)) for entry in plan.configurations]
    entries = [{key: value_at(config, key) for key in entry} for entry, config in made]
    for place, (entry, (_, config)) in enumerate(zip(entries, made, strict=True)):
        if config in [earlier for _, earlier in made[:place]]:
            raise BadInput(f"configurations.{place}: {entry} is the same as one before it; leave one out")
    return tuple(entries)


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)
