"""Plan loading: a preset or a YAML file, changed by `key=value`, checked whole before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, permutations, product
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from fsamc.config.dotted import Problem, flatten, problems, updated, with_value
from fsamc.errors import BadInput
from fsamc.features.weights import identity
from fsamc.fold.config import FoldConfig
from fsamc.store.digests import digest
from sweeps.plan.configurations import configuration, distinct_of, swept, values_at, variants
from sweeps.plan.keys import key_problem, unknown_key
from sweeps.plan.kinds import FIELDS, has, mapping, owners, sweep_kinds
from sweeps.plan.older_plans import new_name
from sweeps.plan.plan_file import Written, read_plan
from sweeps.plan.settings import Distribution, Plan
from sweeps.plan.space import ends, holds, in_order, value_at
from sweeps.plan.yaml_lines import Place

# What changes how fast a sweep is, or what is recommended, and no number in it.
_PACE: dict[str, Any] = {
    "objective": {"abstain"},
    "resources": {"workers", "nice", "folds_at_once", "retries", "system_metrics", "tracking_patience", "deadline"},
}
# A backbone is hashed by content, wherever the file lies.
_FILES: dict[str, Any] = {"features": {"backbone", "weights"}}


def load_plan(
    source: str | None, changes: Sequence[str] = (), *, backbone: str | None = None, weights: str | None = None
) -> Plan:
    """Load the plan `source`, a preset's name or a YAML file, with `key=value` changes.

    Args:
        source: name or path; None for the defaults, on the backbone `auto`.
        changes: `DOTTED.KEY=YAML` each, in order.
        backbone: wins over the plan's.
        weights: state dict of a named backbone, wins over the plan's.

    Raises:
        BadInput: no such plan, no YAML, unknown keys, or values that may not be; also within the space. A line each,
            with the file's line where one is at fault.
    """
    written = read_plan(source, changes)
    for name, value in (("backbone", backbone), ("weights", weights)):
        if value is not None:
            written = written.changed(f"base.features.{name}", value, word=f"--{name} {value}")
    plan = _with_scoring(_validated(written))
    plan._notes = written.notes
    written.check(problem for key in plan.aside for problem in _value_problem(plan, _owner(plan, key), _place(key)))
    written.check(_condition_problems(plan))
    space = {key: _conditioned(plan, key, distribution) for key, distribution in plan.space.items()}
    plan = plan.model_copy(update={"space": space})
    written.check(_problems(plan))
    space = {key: _plain(plan, key, distribution) for key, distribution in plan.space.items()}
    entries = tuple(values_at(configuration(plan, entry), entry) for entry in plan.configurations)
    return plan.model_copy(update={"space": space, "configurations": entries})


def plan_hash(plan: Plan) -> str:
    """Hash of all that the table depends on: not of how many folds run at once."""
    dumped = plan.model_dump(mode="json", exclude=_PACE | {"base": _FILES})
    if not plan.search.final.trials:  # as in plans of versions that knew no final
        del dumped["search"]["final"]
    if not plan.search.prior.sweeps:
        del dumped["search"]["prior"]
    return digest(identity(plan.base.features), dumped, plan.aside)


def config_hash(config: FoldConfig) -> str:
    """Twelve hex digits that name a configuration, whatever it is measured by and at however many shots."""
    return digest(
        identity(config.features), config.model_dump(mode="json", exclude=_FILES | {"scoring": True, "shots": True})
    )[:12]


def to_yaml(plan: Plan) -> str:
    """Write the plan as a file that `load_plan` reads back."""
    tree = plan.model_dump(mode="json", exclude={"base": {"compute", "scoring", "shots"}})
    for key, value in plan.aside.items():
        tree = with_value(tree, f"base.{key}", value)
    tree["space"] = {
        key: distribution.model_dump(mode="json", exclude_unset=True) for key, distribution in plan.space.items()
    }
    text: str = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120)
    return text


def _with_scoring(plan: Plan) -> Plan:
    """Fill in what the objective measures in every fold."""
    if plan.base.scoring == plan.scoring:
        return plan
    scoring = {"scoring": plan.scoring.model_dump(mode="json")}
    for shots in plan.folds.shots:  # the last is the base's
        base = updated(plan.base, scoring | {"shots": shots})
    return plan.model_copy(update={"base": base})


def _validated(written: Written) -> Plan:
    tree = {"name": Path(written.source).stem} | written.tree
    try:
        return Plan.model_validate(tree)
    except ValidationError as error:
        refused = problems(error, tree)
    told = [replace(one, text=unknown_key(one.key, tree)) if one.unknown else one for one in refused]
    base, space = mapping(tree.get("base")), mapping(tree.get("space"))
    keys = [*flatten(FoldConfig().model_dump(mode="json")), *flatten(base), *_of_kinds(sweep_kinds(tree))]
    written.check([*told, *(problem for key in space if (problem := key_problem(keys, str(key), ("space",))))])
    raise AssertionError("a plan that pydantic refuses has problems")


def _keys(plan: Plan) -> list[str]:
    return [*flatten(plan.base.model_dump(mode="json")), *_of_kinds(plan.kinds)]


def _of_kinds(kinds: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the keys that these kinds of heads and detectors have."""
    for field, settings in FIELDS.items():
        yield from (
            f"{field}.{name}" for kind in kinds[field] if kind in settings for name in settings[kind].model_fields
        )


def _problems(plan: Plan) -> Iterator[Problem]:
    """Check every listed configuration, and every end of every range, by itself and beside another key's."""
    alone = [*_list_problems(plan), *_space_problems(plan)]
    yield from alone or _joint_problems(plan)


def _joint_problems(plan: Plan) -> Iterator[Problem]:
    """Yield the first thing wrong with keys together that are right by themselves."""
    place = ("configurations",) if plan.configurations else ("space",)
    if repeated := next(_repeated(plan), None):
        yield repeated
        return
    for key, within in permutations(swept(plan), 2):
        if within.startswith(f"{key}."):
            yield Problem(place, f"{key} holds {within}, and both are varied; vary one of them")
            return
    try:
        for config, shots in product(variants(plan, changed=2), plan.folds.shots):
            updated(config, {"shots": shots})
    except BadInput as error:
        yield Problem(place, f"a combination that may not be: {error}")


def _repeated(plan: Plan) -> Iterator[Problem]:
    """Find choices and listed configurations that say the same, however they are written."""
    for key, distribution in plan.space.items():
        values = (_plain(plan, key, distribution).choice or ()) if distribution.choice else ()
        if len(distinct_of(values)) < len(values):
            yield Problem(
                ("space", key, "choice"), f"{list(distribution.choice or ())} names a value twice; leave one out"
            )
    made = [configuration(plan, entry) for entry in plan.configurations]
    for number, (config, entry) in enumerate(zip(made, plan.configurations, strict=True)):
        if config in made[:number]:
            yield Problem(("configurations", str(number)), f"{entry} is the same as one before it; leave one out")


def _list_problems(plan: Plan) -> Iterator[Problem]:
    keys = _keys(plan)
    for number, entry in enumerate(plan.configurations):
        place = ("configurations", str(number))
        wrong = [problem for key in entry if (problem := key_problem(keys, key, place))]
        yield from wrong or _value_problem(plan, entry, place)


def _space_problems(plan: Plan) -> Iterator[Problem]:
    keys = _keys(plan)
    for key, distribution in plan.space.items():
        place = ("space", key)
        if () in distribution.when.values() and not key_problem(keys, key, ("space",)):
            yield Problem(place, f"only {', '.join(owners(key))} has it, and `when` names others; correct one")
        elif problem := key_problem(keys, key, ("space",)):
            yield problem
        elif plan.search.algorithm == "grid" and distribution.choice is None:
            yield Problem(place, "a grid needs `choice`; list its values or use random or optuna")
        else:
            edges = [
                ((*place, distribution.form, str(number)), value) for number, value in enumerate(distribution.extremes)
            ]
            tried = (
                problem
                for at, value in [*edges, *((place, value) for value in _between(distribution))]
                for problem in _value_problem(plan, _meeting(plan, key) | {key: value}, at)
            )
            yield from islice(tried, 1)  # the second end of a range that is wrong says nothing new


def _value_problem(plan: Plan, values: Mapping[str, Any], place: Place) -> list[Problem]:
    try:
        configuration(plan, values)
    except BadInput as error:
        key, _, text = str(error).partition(": ")
        if new_name(key) and text.startswith("unknown key"):
            return [Problem(place, f"{key}: {unknown_key(key)}")]
        return [Problem(place, text if key in ".".join(place) else str(error))]
    return []


def _between(distribution: Distribution) -> tuple[float, ...]:
    """Return a number inside a continuous range: where only whole ones may be, its ends do not show it."""
    bounds = distribution.uniform or distribution.loguniform
    return (bounds[0] + (bounds[1] - bounds[0]) / math.pi,) if bounds else ()


def _plain(plan: Plan, key: str, distribution: Distribution) -> Distribution:
    """Write choices as the configuration holds them: `1e-4`, which YAML takes for text, is the base's 0.0001."""
    if distribution.choice is None:
        return distribution
    meeting = _meeting(plan, key)
    values = (value_at(configuration(plan, meeting | {key: value}), key) for value in distribution.choice)
    return distribution.model_copy(update={"choice": tuple(values)})


def _condition_problems(plan: Plan) -> list[Problem]:
    """Check the `when` of swept keys: each by itself, else all together."""
    if alone := list(_problems_of_conditions(plan)):
        return alone
    try:
        in_order(plan.space)
    except BadInput as error:
        key, _, text = str(error).removeprefix("space.").partition(".when: ")
        return [Problem(("space", key, "when"), text)]
    return []


def _problems_of_conditions(plan: Plan) -> Iterator[Problem]:
    keys = _keys(plan)
    for key, distribution in plan.space.items():
        for other, allowed in distribution.when.items():
            place = ("space", key, "when")
            if problem := key_problem(keys, other, place):
                yield problem
            elif other == key:
                yield Problem((*place, other), "a key cannot depend on itself; name another")
            elif wrong := [
                one
                for value in allowed
                for one in _value_problem(plan, _owner(plan, other) | {other: value}, (*place, other))
            ]:
                yield from wrong
            elif not any(_can_be(plan, other, _plain_value(plan, other, value)) for value in allowed):
                yield Problem((*place, other), f"no trial has one of {list(allowed)} there; correct it or leave it out")


def _conditioned(plan: Plan, key: str, distribution: Distribution) -> Distribution:
    """Write the values of `when` as the configuration holds them; a key that not all kinds have depends on the kind."""
    when = {
        other: tuple(_plain_value(plan, other, value) for value in allowed)
        for other, allowed in distribution.when.items()
    }
    for name in (key, *distribution.when):
        field, _, knob = name.partition(".")
        if knob != "kind" and {*plan.kinds.get(field, ())} - {*(having := owners(name))} and having:
            allowed = when.get(f"{field}.kind", plan.kinds[field])
            when[f"{field}.kind"] = tuple(kind for kind in allowed if kind in having)
    return distribution.model_copy(update={"when": when}) if when else distribution


def _owner(plan: Plan, key: str) -> dict[str, Any]:
    """Return the change of the base's kind that a key needs."""
    if has(plan.base, key):
        return {}
    field = key.partition(".")[0]
    return {f"{field}.kind": next(kind for kind in plan.kinds[field] if kind in owners(key))}


def _plain_value(plan: Plan, key: str, value: Any) -> Any:
    return value_at(configuration(plan, _owner(plan, key) | {key: value}), key)


def _can_be(plan: Plan, key: str, value: Any) -> bool:
    return value_at(plan.base, key) == value or (key in plan.space and holds(plan.space[key], value))


def _meeting(plan: Plan, key: str) -> dict[str, Any]:
    """Return values of other keys with which `key` is swept; none where that is always so."""
    met = next(ends(plan.space, plan.base, [key]), {})
    return {other: value for other, value in met.items() if other != key}


def _place(key: str) -> Place:
    return ("base", *key.split("."))
