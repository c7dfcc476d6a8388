"""Older plans: keys of earlier versions and what each is read as, in one table.

A key that gets another name is one row of RENAMED. It is then read in `base`, `space` with its `when`, and
`configurations`, of files and of the command line, with a line that names the new key; and a sweep that an earlier
version began is told from one that has another plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

from fsamc.config.dotted import with_value
from sweeps.plan.kinds import mapping, without_unused
from sweeps.plan.yaml_lines import Place, as_yaml

Tree = Mapping[Any, Any]


class Renamed(NamedTuple):
    """A key of the base that has another name now.

    Attributes:
        old, new: dotted, as in the space.
        value: the new value of an old one; of what it does not know, that itself.
    """

    old: str
    new: str
    value: Callable[[Any], Any] = lambda value: value


def _named(names: Mapping[Any, Any]) -> Callable[[Any], Any]:
    """Return what gives each old value its new one."""
    return lambda value: next((new for old, new in names.items() if old == value), value)


RENAMED = (
    Renamed("residual", "representation.parts", _named({True: ["residual"], False: ["raw"]})),
    Renamed("reference.scale", "representation.scale", _named({"bank": "channel"})),
    Renamed("head.patches", "representation.patches"),
    Renamed("head.weights", "representation.weights"),
    Renamed("head.direct.trainable", "head.trainable"),
    Renamed("head.direct.epochs", "head.epochs"),
    Renamed("head.direct.lr", "head.lr"),
)
# All that a head and a detector had before each kind had its own: a resolved plan of then lists them all.
_LISTED = {
    "head": {"kind", "temperature", "patches", "weights", "pool", "hidden", "relation", "embedding", "direct"},
    "reference": {"kind", "scale", "ratio", "projection", "starts", "channels", "ridge", "images", "words", "blocks"}
    | {"window"},
}
_SHOTS = 2  # the default of `base.shots`, when it was a knob
_MOST_SHOTS = 1000  # numbers in a range


class Moved(NamedTuple):
    """The place of an older key in a plan, and that of what it is read as."""

    old: Place
    new: Place

    def told(self, tree: Tree) -> str:
        """Say what the key is called now, and what it is read as in `tree`."""
        old, new = ".".join(self.old), ".".join(self.new)
        return f"{old} is {new} now: read as {as_yaml(value_of(tree, self.new))}"


def read_older(tree: Tree, below: Tree | None = None) -> tuple[dict[Any, Any], list[Moved]]:
    """Read the older keys of a plan, which extends the one `below` it; and say which it had.

    A plan that has the old key and the new one keeps both: it contradicts itself. Such a key, and one whose value
    cannot be read, is unknown to whoever checks the plan.
    """
    lists_all = all({*mapping(mapping(tree.get("base")).get(field))} == names for field, names in _LISTED.items())
    moved: list[Moved] = []
    tree = _with_folds_shots(tree, below, moved)
    for row in RENAMED:
        tree = _renamed(tree, row, moved)
    if lists_all:  # at their defaults too; those of a kind that the sweep lacks changed nothing
        tree = without_unused(tree)
    return {**tree}, [move for move in moved if move.new[0] != "base" or has_place(tree, move.new)]


def is_older(tree: Tree) -> bool:
    """Whether an earlier version has resolved a plan."""
    return read_older(tree)[0] != tree


def varied_older_keys(tree: Tree) -> dict[str, str]:
    """Map the older keys in which the trials of a plan differ to their new names."""
    space = mapping(tree.get("space")).items()
    varied = [(key, value) for key, within in space for value in (None, *_listed(mapping(within).get("choice")))]
    varied += [pair for entry in _entries(tree) for pair in mapping(entry).items()]
    names = {"shots": "folds.shots"} | {row.old: row.new for row in RENAMED}
    return {old: names[old] for old in sorted(names) if any(_holds(key, value, old) for key, value in varied)}


def new_name(key: str) -> str | None:
    """Return what an older dotted key of the base, or a group of such, is called now."""
    return ", ".join(row.new for row in RENAMED if f"{row.old}.".startswith(f"{key}.")) or None


def has_place(tree: Any, place: Sequence[str]) -> bool:
    """Whether nested mappings have a place."""
    return not place or (place[0] in mapping(tree) and has_place(tree[place[0]], place[1:]))


def value_of(tree: Tree, place: Sequence[str]) -> Any:
    """Return what is at a place of a plan. Raises KeyError."""
    return reduce(lambda part, name: part[int(name) if isinstance(part, list | tuple) else name], place, tree)


def _renamed(tree: Tree, row: Renamed, moved: list[Moved]) -> Tree:
    """Give a key its new name in all of a plan; `moved` takes where."""
    old, new = row.old.split("."), row.new.split(".")
    base = mapping(tree.get("base"))
    if has_place(base, old) and not has_place(base, new):
        moved.append(Moved(("base", *old), ("base", *new)))
        tree = {**tree, "base": with_value(_without(base, old), row.new, row.value(value_of(base, old)))}
    if isinstance(space := tree.get("space"), Mapping):
        space = _renamed_in(space, row, lambda distribution: _converted(distribution, row), ("space",), moved)
        space = {key: _conditioned(space[key], row, ("space", key), moved) for key in space}
        tree = {**tree, "space": {key: _chosen(key, space[key], row, moved) for key in space}}
    if entries := _entries(tree):
        places = [("configurations", str(number)) for number in range(len(entries))]
        pairs = zip(entries, places, strict=True)
        tree = {**tree, "configurations": [_renamed_in(entry, row, row.value, at, moved) for entry, at in pairs]}
    return tree


def _renamed_in(keys: Any, row: Renamed, convert: Callable[[Any], Any], place: Place, moved: list[Moved]) -> Any:
    """Give a key of a mapping of dotted keys its new name, where it stands."""
    if place[0] == "configurations" and isinstance(keys, Mapping):
        keys = {key: _inside(key, value, row, (*place, str(key)), moved) for key, value in keys.items()}
    if row.old not in mapping(keys) or row.new in keys:
        return keys
    moved.append(Moved((*place, row.old), (*place, row.new)))
    return {row.new if key == row.old else key: convert(keys[key]) if key == row.old else keys[key] for key in keys}


def _conditioned(distribution: Any, row: Renamed, place: Place, moved: list[Moved]) -> Any:
    """Give a key its new name in the `when` of another."""
    when = mapping(distribution).get("when")
    renamed = _renamed_in(when, row, lambda values: _each(values, row), (*place, "when"), moved)
    return distribution if renamed is when else {**distribution, "when": renamed}


def _chosen(key: Any, distribution: Any, row: Renamed, moved: list[Moved]) -> Any:
    """Give a key its new name in the choices of a key that holds it, such as a whole head."""
    if not (choice := _listed(mapping(distribution).get("choice"))):
        return distribution
    place = ("space", str(key), "choice")
    return {**distribution, "choice": [_inside(key, one, row, (*place, str(n)), moved) for n, one in enumerate(choice)]}


def _inside(key: Any, value: Any, row: Renamed, place: Place, moved: list[Moved]) -> Any:
    """Give a key its new name in the value of one that holds it under both; elsewhere it would be another's too."""
    if key == row.old or not (_holds(key, value, row.old) and row.new.startswith(f"{key}.")):
        return value
    old, new = (name.removeprefix(f"{key}.").split(".") for name in (row.old, row.new))
    if has_place(value, new):
        return value
    moved.append(Moved((*place, *old), (*place, *new)))
    return with_value(_without(value, old), ".".join(new), row.value(value_of(value, old)))


def _holds(key: Any, value: Any, old: str) -> bool:
    """Whether a dotted key is an older one, or its value holds that."""
    return old == key or (old.startswith(f"{key}.") and has_place(value, old.removeprefix(f"{key}.").split(".")))


def _listed(values: Any) -> Sequence[Any]:
    return values if isinstance(values, list | tuple) else ()


def _converted(distribution: Any, row: Renamed) -> Any:
    """Give the values of a distribution their new form."""
    if not isinstance(distribution, Mapping):
        return distribution
    return {form: values if form == "when" else _each(values, row) for form, values in distribution.items()}


def _each(values: Any, row: Renamed) -> Any:
    return [row.value(value) for value in values] if isinstance(values, list | tuple) else values


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
    numbers = _distinct([*([base["shots"]] if "base" in parts else []), *swept]) or single or [_SHOTS]
    moved += [Moved((name, "shots"), ("folds", "shots")) for name in parts]
    left = {name: {key: value for key, value in tree[name].items() if key != "shots"} for name in parts}
    return {**tree, **left, "folds": {**folds, "shots": numbers}}


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
        return list(range(low, high + 1)) if 0 < high - low < _MOST_SHOTS else None
    return None


def _distinct(numbers: Iterable[Any]) -> list[Any]:
    """Return each number once, in ascending order where they can be compared."""
    once = list({repr(number): number for number in numbers}.values())
    return sorted(once) if all(type(number) is int for number in once) else once


def _entries(tree: Tree) -> Sequence[Any]:
    return _listed(tree.get("configurations"))


def _without(tree: Tree, place: Sequence[str]) -> dict[Any, Any]:
    """Leave out of nested mappings what is at a place, and those that hold nothing then."""
    kept = {name: value for name, value in tree.items() if name != place[0]}
    below = _without(tree[place[0]], place[1:]) if place[1:] else {}
    return {**kept, place[0]: below} if below else kept
