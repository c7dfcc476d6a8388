"""Older plans: keys that have another name now, which are refused by that name; and shots, which were a knob."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fsamc.config.dotted import flatten
from sweeps.plan.kinds import Tree, mapping
from sweeps.plan.yaml_lines import Place

NEW_NAMES = {
    "residual": "representation.parts",
    "reference.scale": "representation.scale",
    "head.patches": "representation.patches",
    "head.weights": "representation.weights",
    "head.direct.trainable": "head.trainable",
    "head.direct.epochs": "head.epochs",
    "head.direct.lr": "head.lr",
}
FOLDS_SHOTS: Place = ("folds", "shots")
_SHOTS = 2  # the default of `base.shots`, when it was a knob
_MOST_SHOTS = 1000  # numbers in a range


def new_name(key: str) -> str | None:
    """Return what an older dotted key of the base, or a group of such, is called now."""
    return ", ".join(new for old, new in NEW_NAMES.items() if f"{old}.".startswith(f"{key}.")) or None


def older_keys(tree: Tree) -> dict[str, str]:
    """Map the older keys of a resolved plan, whose base lists all that there were, to their new names."""
    base = flatten(mapping(tree.get("base")))
    return {old: new for old, new in NEW_NAMES.items() if any(f"{key}.".startswith(f"{old}.") for key in base)}


def with_folds_shots(tree: Tree, below: Tree | None = None) -> tuple[dict[Any, Any], list[Place]]:
    """Read `base.shots` and `space.shots` of a plan as `folds.shots`; return also where it had them.

    `space.shots: null` takes the numbers away that it has from the plan `below`, which it extends; a single one stays.
    A plan that has `folds.shots` too keeps both: it contradicts itself.
    """
    base, space, folds = mapping(tree.get("base")), mapping(tree.get("space")), mapping(tree.get("folds"))
    parts = [name for name, part in (("base", base), ("space", space)) if "shots" in part]
    swept = _numbers(space.get("shots"))
    if "shots" in folds or not parts or swept is None:
        return {**tree}, []
    below_them = mapping(mapping(below).get("folds")).get("shots")
    single = below_them if isinstance(below_them, list) and len(below_them) == 1 else []
    numbers = [*([base["shots"]] if "base" in parts else []), *swept] or single or [_SHOTS]
    once = [number for place, number in enumerate(numbers) if number not in numbers[:place]]
    left = {name: {key: value for key, value in tree[name].items() if key != "shots"} for name in parts}
    return {**tree, **left, "folds": {**folds, "shots": once}}, [(name, "shots") for name in parts]


def _numbers(distribution: Any) -> list[Any] | None:
    """Return the values of `space.shots`; none where it is taken out (`null`), None for what is not read."""
    forms: Mapping[Any, Any] = {"choice": []} if distribution is None else mapping(distribution)
    if [*forms] == ["choice"] and isinstance(forms["choice"], list | tuple):
        return list(forms["choice"])
    bounds = forms.get("integers")
    if [*forms] == ["integers"] and isinstance(bounds, list | tuple) and [*map(type, bounds)] == [int, int]:
        low, high = bounds
        return list(range(low, high + 1)) if 0 < high - low < _MOST_SHOTS else None
    return None
