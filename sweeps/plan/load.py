"""Plans: a preset or a YAML file, changed by `key=value`, checked whole before anything runs."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, islice, permutations
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fsamc.config.dotted import Problem, flatten, problems, updated
from fsamc.errors import BadInput
from fsamc.features.weights import identity, is_program
from fsamc.fold.config import FoldConfig
from fsamc.store.digests import digest
from sweeps.plan.keys import unknown_key
from sweeps.plan.plan_file import Written, read_plan
from sweeps.plan.settings import Distribution, Plan
from sweeps.plan.space import active, ends, holds, in_order, value_at
from sweeps.plan.yaml_lines import Place

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
        BadInput: no such plan, no YAML, unknown keys, or values that may not be; also within the space. A line each,
            with the file's line where one is at fault.
    """
    written = read_plan(source, changes)
    for name, given in (("backbone", backbone), ("weights", weights)):
        if given is not None:
            written = written.changed(f"base.features.{name}", given, word=f"--{name} {given}")
    plan = _with_scoring(_validated(written))
    written.check(_condition_problems(plan))
    plan = plan.model_copy(update={"space": {key: _conditioned(plan, given) for key, given in plan.space.items()}})
    written.check(_problems(plan))
    space = {key: _plain(plan, key, given) for key, given in plan.space.items()}
    entries = tuple(_plain_entry(plan, entry) for entry in plan.configurations)
    return plan.model_copy(update={"space": space, "configurations": entries})


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


def _with_scoring(plan: Plan) -> Plan:
    """The plan with what its objective asks of every fold filled in."""
    if plan.base.scoring == plan.scoring:
        return plan
    base = updated(plan.base, {"scoring": plan.scoring.model_dump(mode="json")})
    return plan.model_copy(update={"base": base})


def _validated(written: Written) -> Plan:
    tree = {"name": Path(written.source).stem} | written.tree
    try:
        return Plan.model_validate(tree)
    except ValidationError as error:
        found = problems(error, tree)
    told = [replace(one, text=unknown_key(one.key)) if one.unknown else one for one in found]
    known = [*flatten(FoldConfig().model_dump(mode="json")), *flatten(_mapping(tree.get("base")))]
    space = _mapping(tree.get("space"))
    written.check([*told, *(problem for key in space if (problem := _key_problem(known, str(key), ("space",))))])
    raise AssertionError("a plan that pydantic refuses has problems")


def _mapping(part: Any) -> Mapping[Any, Any]:
    return part if isinstance(part, Mapping) else {}


def _problems(plan: Plan) -> Iterator[Problem]:
    """Every listed configuration must be valid, and every end of every range, by itself and beside another key's."""
    alone = [*_list_problems(plan), *_space_problems(plan)]
    yield from alone or _joint_problems(plan)


def _joint_problems(plan: Plan) -> Iterator[Problem]:
    """The first thing wrong with keys together that are right by themselves."""
    place = ("configurations",) if plan.configurations else ("space",)
    if repeated := next(_repeated(plan), None):
        yield repeated
        return
    for key, within in permutations(swept(plan), 2):
        if within.startswith(f"{key}."):
            yield Problem(place, f"{key} holds {within}, and both are varied; vary one of them")
            return
    try:
        for _ in variants(plan, changed=2):
            pass
    except BadInput as error:
        yield Problem(place, f"a combination that may not be: {error}")


def _repeated(plan: Plan) -> Iterator[Problem]:
    """Choices and listed configurations that say the same, however they are written."""
    for key, given in plan.space.items():
        values = (_plain(plan, key, given).choice or ()) if given.choice else ()
        if len(_distinct(values)) < len(values):
            yield Problem(("space", key, "choice"), f"{list(given.choice or ())} names a value twice; leave one out")
    made = [updated(plan.base, entry) for entry in plan.configurations]
    for number, (config, entry) in enumerate(zip(made, plan.configurations, strict=True)):
        if config in made[:number]:
            yield Problem(("configurations", str(number)), f"{entry} is the same as one before it; leave one out")


def _list_problems(plan: Plan) -> Iterator[Problem]:
    known = flatten(plan.base.model_dump(mode="json"))
    for number, entry in enumerate(plan.configurations):
        place = ("configurations", str(number))
        keys = [problem for key in entry if (problem := _key_problem(known, key, place))]
        yield from keys or _value_problem(plan, entry, place)


def _space_problems(plan: Plan) -> Iterator[Problem]:
    known = flatten(plan.base.model_dump(mode="json"))
    for key, given in plan.space.items():
        place = ("space", key)
        if plan.search.algorithm == "grid" and given.choice is None:
            yield Problem(place, "a grid needs `choice`; list its values or use random or optuna")
        elif problem := _key_problem(known, key, ("space",)):
            yield problem
        else:
            edges = [((*place, given.form, str(number)), value) for number, value in enumerate(given.extremes)]
            tried = (
                problem
                for at, value in [*edges, *((place, value) for value in _between(given))]
                for problem in _value_problem(plan, _meeting(plan, key) | {key: value}, at)
            )
            yield from islice(tried, 1)  # the second end of a range that is wrong says nothing new


def _value_problem(plan: Plan, values: Mapping[str, Any], place: Place) -> list[Problem]:
    try:
        updated(plan.base, values)
    except BadInput as error:
        named = next((f"{key}: " for key in values if key in place), "")
        return [Problem(place, str(error).removeprefix(named))]
    return []


def _key_problem(known: Collection[str], key: str, place: Place) -> Problem | None:
    if not key.startswith("finetune.epochs.") and not any(f"{name}.".startswith(f"{key}.") for name in known):
        return Problem((*place, key), unknown_key(f"{'.'.join(place)}.{key}"), unknown=True)
    if key.startswith("compute"):
        return Problem((*place, key), "set resources.cpus instead; it is not a knob of the method")
    if key.startswith("scoring"):
        return Problem((*place, key), "set `objective` and folds.score instead; they are the same for all trials")
    return None


def _between(given: Distribution) -> tuple[float, ...]:
    """A number inside a continuous range: where only whole ones may be, its ends do not show it."""
    bounds = given.uniform or given.loguniform
    return (bounds[0] + (bounds[1] - bounds[0]) / math.pi,) if bounds else ()


def _plain(plan: Plan, key: str, given: Distribution) -> Distribution:
    """Choices as the configuration holds them, so that `1e-4`, which YAML takes for text, is the base's 0.0001."""
    if given.choice is None:
        return given
    values = (value_at(updated(plan.base, _meeting(plan, key) | {key: value}), key) for value in given.choice)
    return given.model_copy(update={"choice": tuple(values)})


def _plain_entry(plan: Plan, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A listed configuration as the configuration holds its values."""
    config = updated(plan.base, entry)
    return {key: value_at(config, key) for key in entry}


def _condition_problems(plan: Plan) -> list[Problem]:
    """What is wrong with the `when` of swept keys: with each by itself, else with all together."""
    if alone := list(_problems_of_conditions(plan)):
        return alone
    try:
        in_order(plan.space)
    except BadInput as error:
        key, _, text = str(error).removeprefix("space.").partition(".when: ")
        return [Problem(("space", key, "when"), text)]
    return []


def _problems_of_conditions(plan: Plan) -> Iterator[Problem]:
    known = flatten(plan.base.model_dump(mode="json"))
    for key, given in plan.space.items():
        for other, allowed in given.when.items():
            place = ("space", key, "when")
            if problem := _key_problem(known, other, place):
                yield problem
            elif other == key:
                yield Problem((*place, other), "a key cannot depend on itself; name another")
            elif wrong := [one for value in allowed for one in _value_problem(plan, {other: value}, (*place, other))]:
                yield from wrong
            elif not any(
                _can_be(plan, other, value_at(updated(plan.base, {other: value}), other)) for value in allowed
            ):
                yield Problem((*place, other), f"no trial has one of {list(allowed)} there; correct it or leave it out")


def _conditioned(plan: Plan, given: Distribution) -> Distribution:
    """The distribution with the values of its `when` as the configuration holds them."""
    when = {
        other: tuple(_plain_value(plan, other, value) for value in allowed) for other, allowed in given.when.items()
    }
    return given.model_copy(update={"when": when}) if when else given


def _plain_value(plan: Plan, key: str, value: Any) -> Any:
    return value_at(updated(plan.base, {key: value}), key)


def _can_be(plan: Plan, key: str, value: Any) -> bool:
    return value_at(plan.base, key) == value or (key in plan.space and holds(plan.space[key], value))


def _meeting(plan: Plan, key: str) -> dict[str, Any]:
    """Values of other keys with which `key` is swept; none where that is always so."""
    found = next(ends(plan.space, plan.base, [key]), {})
    return {other: value for other, value in found.items() if other != key}


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    found: list[Any] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)
