"""Plans as trees of YAML: a preset or a file, over the plan it extends, changed by `key=value`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from fsamc.config import Distribution
from fsamc.config.dotted import with_value
from fsamc.errors import BadInput

Tree = dict[Any, Any]


def preset_names() -> list[str]:
    """The presets that come with the product."""
    found = (resources.files("sweeps") / "presets").iterdir()
    return sorted(file.name.removesuffix(".yaml") for file in found if file.name.endswith(".yaml"))


def read_tree(source: str, changes: Sequence[str] = ()) -> Tree:
    """The plan `source`, a preset's name or a YAML file, as written, over what it extends, with `changes`.

    `extends: PLAN` at a plan's top level takes another plan for what is left out: mappings go key by key, all else
    is replaced, and `null` takes a knob out of the space. The name is not taken over.

    Raises:
        BadInput: no such plan, no YAML, no `key=value`, or plans that extend each other.
    """
    tree = _extended(source, ())
    for change in changes:
        key, value = _split(change)
        tree = _changed(tree, key, value)
    return tree


def _extended(source: str, above: tuple[str, ...]) -> Tree:
    if source in above:
        raise BadInput(
            f"{source}: extends itself ({' -> '.join([*above, source])}); leave `extends` out of one of them"
        )
    tree = _read(source)
    if "extends" not in tree:
        return tree
    below = str(tree.pop("extends"))
    if below not in preset_names():
        below = str(Path(source).parent / below)  # a file names another one from where it lies
    found = _extended(below, (*above, source))
    found.pop("name", None)
    space = (found.get("space") or {}) | (tree.pop("space", None) or {})
    return _merged(found, tree) | {"space": {knob: given for knob, given in space.items() if given is not None}}


def _merged(below: Mapping[Any, Any], above: Mapping[Any, Any]) -> Tree:
    merged = dict(below)
    for key, value in above.items():
        under = merged.get(key)
        merged[key] = _merged(under, value) if isinstance(under, Mapping) and isinstance(value, Mapping) else value
    return merged


def _read(source: str) -> Tree:
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


def _changed(tree: Tree, key: str, value: Any) -> Tree:
    """`tree` with one change. Keys of the space hold dots themselves; there `null` takes a key out."""
    if not key.startswith("space."):
        return with_value(tree, key, value)
    knob = key.removeprefix("space.")
    form = knob.rpartition(".")
    if form[2] in Distribution.model_fields:
        knob, value = form[0], {form[2]: value}
    space = {name: given for name, given in (tree.get("space") or {}).items() if name != knob}
    return {**tree, "space": space if value is None else {**space, knob: value}}
