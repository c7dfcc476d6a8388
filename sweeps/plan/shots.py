"""Numbers of shots in plans of earlier versions, where `shots` was a knob: they are read as `folds.shots`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sweeps.plan.kinds import mapping

DEFAULT_SHOTS = (2,)
NO_KNOB = (
    "how many images are the support is a condition that every trial is scored at, not a knob; "
    "list the numbers in folds.shots"
)
_MOST = 1000  # numbers in a range


def with_folds_shots(tree: Mapping[Any, Any], below: Mapping[Any, Any] | None = None) -> tuple[dict[Any, Any], str]:
    """Read `base.shots` and `space.shots` of a plan as `folds.shots`.

    `space.shots: null` takes the numbers away that a plan has from the one `below` it; a single one stays.

    Returns the plan without the two, and which of them it had; a plan that has neither, in a form that can be read,
    comes back as it is. A plan that has `folds.shots` too keeps the others: it contradicts itself.
    """
    base, space, folds = mapping(tree.get("base")), mapping(tree.get("space")), mapping(tree.get("folds"))
    if "shots" in folds or ("shots" not in base and "shots" not in space):
        return {**tree}, ""
    own = [base["shots"]] if "shots" in base else []
    swept = _numbers(space["shots"]) if "shots" in space else []
    if swept is None:
        return {**tree}, ""
    numbers = _distinct([*own, *swept]) or _single(below) or list(DEFAULT_SHOTS)
    moved = {**tree, "folds": {**folds, "shots": numbers}}
    for name, part in (("base", base), ("space", space)):
        if "shots" in part:
            moved[name] = {key: value for key, value in part.items() if key != "shots"}
    names = [f"{name}.shots" for name, part in (("base", base), ("space", space)) if "shots" in part]
    return moved, " and ".join(names)


def with_base_shots(tree: Mapping[Any, Any]) -> dict[Any, Any]:
    """Fill in the base's shots: the most of `folds.shots`."""
    base, numbers = tree.get("base", {}), mapping(tree.get("folds")).get("shots", DEFAULT_SHOTS)
    whole = isinstance(numbers, list | tuple) and numbers and all(type(n) is int and n > 0 for n in numbers)
    if not whole or not isinstance(base, Mapping) or "shots" in base:
        return {**tree}
    return {**tree, "base": {**base, "shots": max(numbers)}}


def varies_shots(tree: Mapping[Any, Any]) -> bool:
    """Whether a plan of an earlier version has trials of different shots."""
    entries = tree.get("configurations")
    listed = entries if isinstance(entries, list | tuple) else ()
    return "shots" in mapping(tree.get("space")) or any("shots" in mapping(entry) for entry in listed)


def _distinct(numbers: Iterable[Any]) -> list[Any]:
    """Return each number once, in ascending order where they can be compared."""
    once = list({repr(number): number for number in numbers}.values())
    return sorted(once) if all(type(number) is int for number in once) else once


def _single(below: Mapping[Any, Any] | None) -> list[Any]:
    numbers = mapping(mapping(below).get("folds")).get("shots")
    return numbers if isinstance(numbers, list) and len(numbers) == 1 else []


def _numbers(distribution: Any) -> list[Any] | None:
    """Return the values of `space.shots`; none where it is taken out (`null`), None for what is not read."""
    if distribution is None:
        return []
    forms = mapping(distribution)
    if [*forms] == ["choice"] and isinstance(forms["choice"], list | tuple):
        return list(forms["choice"])
    bounds = forms.get("integers")
    if [*forms] == ["integers"] and isinstance(bounds, list | tuple) and [*map(type, bounds)] == [int, int]:
        low, high = bounds
        return list(range(low, high + 1)) if 0 < high - low < _MOST else None
    return None
