"""Plans: a preset or a YAML file, changed by `key=value`, checked whole before anything runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from itertools import combinations, product
from pathlib import Path
from typing import Any

import yaml

from fsamc.config import Distribution, FoldConfig, Plan
from fsamc.config.dotted import flatten, updated, validated, with_value
from fsamc.errors import BadInput
from fsamc.store import digest
from fsamc.weights import identity, is_program

# What changes how fast a sweep is, and no number in it.
_PACE: dict[str, Any] = {"resources": {"workers", "folds_at_once", "retries"}}
# A backbone is hashed by content, wherever the file lies.
_FILES: dict[str, Any] = {"features": {"backbone", "weights"}}


def preset_names() -> list[str]:
    """The presets that come with the product."""
    found = (resources.files("sweeps") / "presets").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in found if file.name.endswith(".yaml"))


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
    tree = _read(source)
    for change in changes:
        key, value = _split(change)
        tree = _changed(tree, key, value)
    for name, given in (("backbone", backbone), ("weights", weights)):
        if given is not None:
            tree = with_value(tree, f"base.features.{name}", given)
    tree.setdefault("name", Path(source).stem)
    plan = validated(Plan, tree, where=source)
    _check_space(plan, source)
    return plan.model_copy(update={"space": {key: _plain(plan, key, given) for key, given in plan.space.items()}})


def configuration(plan: Plan, values: Mapping[str, Any]) -> FoldConfig:
    """The plan's base with a trial's values. Raises BadInput for a combination that may not be."""
    return updated(plan.base, values)


def base_values(plan: Plan) -> dict[str, Any]:
    """The base's own values of the swept keys: the configuration of trial 0."""
    return {key: _value(plan.base, key) for key in plan.space}


def variants(plan: Plan, *, changed: int = 1) -> Iterator[FoldConfig]:
    """The base, and the base with the ends of up to `changed` ranges at a time: what is right for them is for all.

    Raises BadInput for a combination that may not be.
    """
    for count in range(changed + 1):
        for keys in combinations(plan.space, count):
            for values in product(*(plan.space[key].extremes for key in keys)):
                yield updated(plan.base, dict(zip(keys, values, strict=True)))


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
    """Twelve hex digits that name a configuration."""
    return digest(identity(config.features), config.model_dump(mode="json", exclude=_FILES))[:12]


def to_yaml(plan: Plan) -> str:
    """The plan as a file that `load_plan` reads back."""
    tree = plan.model_dump(mode="json", exclude={"base": {"compute"}})
    tree["space"] = {key: given.model_dump(mode="json", exclude_unset=True) for key, given in plan.space.items()}
    text: str = yaml.safe_dump(tree, sort_keys=False, default_flow_style=None, width=120)
    return text


def _read(source: str) -> dict[Any, Any]:
    if source in preset_names():
        text = (resources.files("sweeps") / "presets" / f"{source}.yaml").read_text()
    else:
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            known = ", ".join(preset_names())
            raise BadInput(f"{source}: no such plan ({error}); give a YAML file or a preset: {known}") from error
    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{source}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict):
        raise BadInput(f"{source}: expected a plan with keys base, space, folds, search; found {type(tree).__name__}")
    return tree


def _split(change: str) -> tuple[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key:
        raise BadInput(f"{change!r}: expected key=value, such as folds.seeds=[1,2]")
    try:
        return key, yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"{change!r}: the value is not YAML; quote lists and text for the shell") from error


def _changed(tree: dict[Any, Any], key: str, value: Any) -> dict[Any, Any]:
    """`tree` with one change. Keys of the space hold dots themselves; there `null` takes a key out."""
    if not key.startswith("space."):
        return with_value(tree, key, value)
    knob = key.removeprefix("space.")
    form = knob.rpartition(".")
    if form[2] in Distribution.model_fields:
        knob, value = form[0], {form[2]: value}
    space = {name: given for name, given in (tree.get("space") or {}).items() if name != knob}
    return {**tree, "space": space if value is None else {**space, knob: value}}


def _check_space(plan: Plan, source: str) -> None:
    """Every end of every range must be a valid value, by itself and beside those of another key."""
    known = flatten(plan.base.model_dump(mode="json"))
    for key, given in plan.space.items():
        if plan.search.algorithm == "grid" and given.choice is None:
            raise BadInput(f"{source}: space.{key}: a grid needs `choice`; list its values or use random or optuna")
        if not key.startswith("finetune.epochs.") and not any(f"{name}.".startswith(f"{key}.") for name in known):
            raise BadInput(f"{source}: space.{key}: unknown key; `fsamc plan show` lists them all")
        if key.startswith("compute"):
            raise BadInput(f"{source}: space.{key}: set resources.cpus instead; it is not a knob of the method")
        for value in given.extremes + _between(given):
            updated(plan.base, {key: value}, where=f"{source}: space")
    try:
        for _ in variants(plan, changed=2):
            pass
    except BadInput as error:
        raise BadInput(f"{source}: space: a combination that may not be: {error}") from None


def _between(given: Distribution) -> tuple[float, ...]:
    """A number inside a continuous range: where only whole ones may be, its ends do not show it."""
    bounds = given.uniform or given.loguniform
    return (bounds[0] + (bounds[1] - bounds[0]) / math.pi,) if bounds else ()


def _plain(plan: Plan, key: str, given: Distribution) -> Distribution:
    """Choices as the configuration holds them, so that `1e-4`, which YAML takes for text, is the base's 0.0001."""
    if given.choice is None:
        return given
    values = [_value(updated(plan.base, {key: value}), key) for value in given.choice]
    if any(value in values[:place] for place, value in enumerate(values)):
        raise BadInput(f"space.{key}: {list(given.choice)} names a value twice; leave one out")
    return Distribution(choice=tuple(values))


def _value(config: FoldConfig, key: str) -> Any:
    """The value at a dotted key; of epochs for so many shots, what goes for them."""
    if key.startswith("finetune.epochs."):
        return config.finetune.epochs_for(int(key.rpartition(".")[2]))
    found: Any = config.model_dump(mode="json")
    for part in key.split("."):
        found = found[part]
    return found
