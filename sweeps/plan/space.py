"""Space around a plan's base: which keys a trial has, in what order they are settled, and every point there is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.plan.settings import Distribution

Space = Mapping[str, Distribution]
Values = dict[str, Any]


def value_at(config: FoldConfig, key: str) -> Any:
    """Return the value at a dotted key; of epochs for so many shots, what goes for them; None where no key is."""
    if key.startswith("finetune.epochs."):
        return config.finetune.epochs_for(int(key.rpartition(".")[2]))
    value: Any = config.model_dump(mode="json")
    for part in key.split("."):
        value = value.get(part)
    return value


def in_order(space: Space) -> list[str]:
    """Return the keys, each after the keys that its `when` names, else as written. Raises BadInput for a circle."""
    ordered: list[str] = []
    while len(ordered) < len(space):
        ready = [key for key in space if key not in ordered and _needs(space, key) <= {*ordered}]
        if not ready:
            circle = next(key for key in space if key not in ordered)
            raise BadInput(f"space.{circle}.when: goes in a circle back to {circle}; leave one condition out")
        ordered += ready
    return ordered


def settle(space: Space, base: FoldConfig, pick: Callable[[str, Distribution], Any]) -> Values:
    """Settle the values of one trial: `pick` is asked for each key whose condition is met, in the order of dependence.

    A key whose condition is not met is left out: it has the base's value. Keys come in the space's order.
    """
    values: Values = {}
    for key in in_order(space):
        if _met(space[key], values, base):
            values[key] = pick(key, space[key])
    return {key: values[key] for key in space if key in values}


def active(space: Space, base: FoldConfig, values: Mapping[str, Any]) -> Values:
    """Those of `values` whose condition is met."""
    return settle(space, base, lambda key, _: values[key])


def points(space: Space, base: FoldConfig, of: Callable[[str], Sequence[Any]] | None = None) -> Iterator[Values]:
    """Every combination once, the last key fastest; a key whose condition is not met does not multiply.

    Args:
        space: without continuous ranges, unless there is `of`.
        base: has the values of keys that are not swept.
        of: a key's values; by default all that its distribution holds.
    """
    keys, values_of = in_order(space), of or (lambda key: every_value(space[key]))

    def below(place: int, values: Values) -> Iterator[Values]:
        if place == len(keys):
            yield {key: values[key] for key in space if key in values}
        elif _met(space[keys[place]], values, base):
            for value in values_of(keys[place]):
                yield from below(place + 1, {**values, keys[place]: value})
        else:
            yield from below(place + 1, values)

    return below(0, {})


def weighed_points(space: Space, base: FoldConfig, keys: Collection[str]) -> list[tuple[Values, int]]:
    """For each combination of the values of `keys` a point that has it, and how many points have it.

    Takes no longer where the other keys have more values: their points are counted, not listed.
    """
    apart = {*keys, *(key for distribution in space.values() for key in distribution.when)}
    weighed: list[tuple[Values, int]] = [({}, 1)]
    for key in in_order(space):
        values, before = every_value(space[key]), weighed
        weighed = []
        for point, count in before:
            if not _met(space[key], point, base):
                weighed.append((point, count))
            elif key in apart:
                weighed += [({**point, key: value}, count) for value in values]
            else:
                weighed.append(({**point, key: values[0]}, count * len(values)))
    return [({key: point[key] for key in space if key in point}, count) for point, count in weighed]


def ends(space: Space, base: FoldConfig, keys: Sequence[str]) -> Iterator[Values]:
    """Yield the ends of the ranges of `keys` in every combination in which all of them are swept.

    What their conditions name is set to what meets them, and to nothing else.
    """
    around = {key: space[key] for key in space if key in keys or key in _above(space, keys)}

    def of(key: str) -> list[Any]:
        needed = [
            value
            for distribution in around.values()
            for value in distribution.when.get(key, ())
            if holds(space[key], value)
        ]
        own = list(space[key].extremes) if key in keys else []
        return own + [value for value in needed if value not in own]

    return (values for values in points(around, base, of) if all(key in values for key in keys))


def every_value(distribution: Distribution) -> Sequence[Any]:
    """All values of a choice or a range of whole numbers."""
    if distribution.integers is not None:
        return range(distribution.integers[0], distribution.integers[1] + 1)
    assert distribution.choice is not None, "a continuous range has no end of values"
    return distribution.choice


def holds(distribution: Distribution, value: Any) -> bool:
    """Whether the distribution can give the value."""
    if distribution.choice is not None:
        return value in distribution.choice
    number = isinstance(value, int) if distribution.integers else isinstance(value, int | float)
    return number and not isinstance(value, bool) and distribution.extremes[0] <= value <= distribution.extremes[1]


def is_discrete(space: Space) -> bool:
    """Whether there is an end of points."""
    return all(distribution.choice is not None or distribution.integers is not None for distribution in space.values())


def _met(distribution: Distribution, values: Mapping[str, Any], base: FoldConfig) -> bool:
    return all(
        (values[key] if key in values else value_at(base, key)) in allowed for key, allowed in distribution.when.items()
    )


def _needs(space: Space, key: str) -> set[str]:
    return {*space[key].when} & {*space}


def _above(space: Space, keys: Sequence[str]) -> set[str]:
    """Return the swept keys that conditions of `keys` name, and conditions of those."""
    named = {above for key in keys for above in _needs(space, key)}
    return named | _above(space, sorted(named)) if named else named
