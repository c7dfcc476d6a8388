"""Older plans: keys that have another name now, which are read under it with a line that says so.

A key that gets another name is one row of `RENAMED`. It is read in `base`, `space` with its `when`, and
`configurations`, of files and of the command line. Within a whole head or detector it is refused by its new name: read
there, it would hold for the other kinds too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from fsamc.config.dotted import flatten, with_value
from sweeps.plan.kinds import Tree, mapping
from sweeps.plan.yaml_lines import Place, as_yaml


class Renamed(NamedTuple):
    """A key of the base that has another name now.

    Attributes:
        old, new: dotted, as in the space.
        values: the new values of old ones, in pairs; any other stays what it is.
    """

    old: str
    new: str
    values: tuple[tuple[Any, Any], ...] = ()

    def value(self, value: Any) -> Any:
        """Return what an old value is called now."""
        return next((new for old, new in self.values if old == value), value)

    def each(self, values: Any) -> Any:
        """Return what the values in a list are called now."""
        return [self.value(value) for value in values] if isinstance(values, list | tuple) else values

    def distribution(self, forms: Any) -> Any:
        """Return a distribution over the new values; its `when` is of other keys."""
        if not isinstance(forms, Mapping):
            return forms
        return {form: values if form == "when" else self.each(values) for form, values in forms.items()}


RENAMED = (
    Renamed("residual", "representation.parts", ((True, ["residual"]), (False, ["raw"]))),
    Renamed("reference.scale", "representation.scale", (("bank", "channel"),)),
    Renamed("head.patches", "representation.patches"),
    Renamed("head.weights", "representation.weights"),
    Renamed("head.direct.trainable", "head.trainable"),
    Renamed("head.direct.epochs", "head.epochs"),
    Renamed("head.direct.lr", "head.lr"),
)
_FOLDS_SHOTS: Place = ("folds", "shots")
_SHOTS = 2  # the default of `base.shots`, when it was a knob
_MOST_SHOTS = 1000  # numbers in a range


class Moved(NamedTuple):
    """The place of an older key in a plan, and that of what it is read as."""

    old: Place
    new: Place
    value: Any

    def __str__(self) -> str:
        return f"{'.'.join(self.old)} is {'.'.join(self.new)} now: read as {as_yaml(self.value)}"


def new_name(key: str) -> str | None:
    """Return what an older dotted key of the base, or a group of such, is called now."""
    return ", ".join(row.new for row in RENAMED if f"{row.old}.".startswith(f"{key}.")) or None


def older_keys(tree: Tree) -> dict[str, str]:
    """Map the older keys of a resolved plan, whose base lists all that there were, to their new names."""
    base = flatten(mapping(tree.get("base")))
    return {row.old: row.new for row in RENAMED if any(f"{key}.".startswith(f"{row.old}.") for key in base)}


def in_new_keys(tree: Tree, below: Tree | None = None) -> tuple[dict[Any, Any], list[Moved]]:
    """Read the older keys of a plan, which extends the one `below` it; and say which it had.

    A plan that has the old key and the new one keeps both: it contradicts itself.
    """
    moved: list[Moved] = []
    tree = _with_folds_shots(tree, below, moved)
    for row in RENAMED:
        tree = _in_new_key(tree, row, moved)
    return {**tree}, moved


def _in_new_key(tree: Tree, row: Renamed, moved: list[Moved]) -> Tree:
    """Give a key its new name in all of a plan; `moved` takes where."""
    base = mapping(tree.get("base"))
    flat = flatten(base)
    if row.old in flat and row.new not in flat:
        value = row.value(flat[row.old])
        moved.append(Moved(("base", *row.old.split(".")), ("base", *row.new.split(".")), value))
        tree = {**tree, "base": with_value(_without(base, row.old.split(".")), row.new, value)}
    if space := mapping(tree.get("space")):
        space = _dotted(space, row, row.distribution, ("space",), moved)
        tree = {**tree, "space": {key: _conditioned(space[key], row, ("space", str(key)), moved) for key in space}}
    if isinstance(entries := tree.get("configurations"), list | tuple):
        places = [("configurations", str(number)) for number in range(len(entries))]
        pairs = zip(entries, places, strict=True)
        tree = {**tree, "configurations": [_dotted(entry, row, row.value, place, moved) for entry, place in pairs]}
    return tree


def _conditioned(distribution: Any, row: Renamed, place: Place, moved: list[Moved]) -> Any:
    """Give a key its new name in the `when` of another."""
    when = mapping(distribution).get("when")
    renamed = _dotted(when, row, row.each, (*place, "when"), moved)
    return distribution if renamed is when else {**distribution, "when": renamed}


def _dotted(keys: Any, row: Renamed, convert: Callable[[Any], Any], place: Place, moved: list[Moved]) -> Any:
    """Give a key its new name in a mapping of dotted keys, where it stands."""
    if row.old not in mapping(keys) or row.new in keys:
        return keys
    value = convert(keys[row.old])
    moved.append(Moved((*place, row.old), (*place, row.new), value))
    return {row.new if key == row.old else key: value if key == row.old else keys[key] for key in keys}


def _without(tree: Tree, place: list[str]) -> dict[Any, Any]:
    """Leave out of nested mappings what is at a place, and those that hold nothing then."""
    kept = {name: value for name, value in tree.items() if name != place[0]}
    below = _without(tree[place[0]], place[1:]) if place[1:] else {}
    return {**kept, place[0]: below} if below else kept


def _with_folds_shots(tree: Tree, below: Tree | None, moved: list[Moved]) -> Tree:
    """Read `base.shots` and `space.shots` as `folds.shots`.

    `space.shots: null` takes the numbers away that a plan has from the one `below` it; a single one stays.
    """
    base, space, folds = mapping(tree.get("base")), mapping(tree.get("space")), mapping(tree.get("folds"))
    parts = [name for name, part in (("base", base), ("space", space)) if "shots" in part]
    swept = _numbers(space.get("shots"))
    if "shots" in folds or not parts or swept is None:
        return tree
    below_them = mapping(mapping(below).get("folds")).get("shots")
    single = below_them if isinstance(below_them, list) and len(below_them) == 1 else []
    numbers = [*([base["shots"]] if "base" in parts else []), *swept] or single or [_SHOTS]
    once = [number for place, number in enumerate(numbers) if number not in numbers[:place]]
    moved += [Moved((name, "shots"), _FOLDS_SHOTS, once) for name in parts]
    left = {name: {key: value for key, value in tree[name].items() if key != "shots"} for name in parts}
    return {**tree, **left, "folds": {**folds, "shots": once}}


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
