"""Dotted keys: one name per knob, the same in plans, on the command line, in tables and in MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fsamc.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)


def flatten(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level: `{"a": {"b": 1}}` becomes `{"a.b": 1}`. Empty mappings stay as they are."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def with_value(tree: Mapping[Any, Any], key: str, value: Any) -> dict[Any, Any]:
    """A copy of nested mappings in which the dotted `key` holds `value`."""
    name, _, rest = key.partition(".")
    found = next((known for known in tree if str(known) == name), name)  # YAML reads `2: 45` as a number
    below = tree.get(found)
    nested = with_value(below if isinstance(below, Mapping) else {}, rest, value) if rest else value
    return {**tree, found: nested}


def updated(model: Model, values: Mapping[str, Any], *, where: str = "") -> Model:
    """`model` with dotted keys changed, and validated again.

    Raises:
        BadInput: a key that does not exist or a value that may not be.
    """
    tree: dict[Any, Any] = model.model_dump(mode="json")
    for key, value in values.items():
        tree = with_value(tree, key, value)
    return validated(type(model), tree, where=where)


def validated(kind: type[Model], tree: Mapping[Any, Any], *, where: str = "") -> Model:
    """`tree` as a `kind`. Raises BadInput with one line: the key, what was found, what was expected."""
    try:
        return kind.model_validate(dict(tree))
    except ValidationError as error:
        first, *others = problems(error, tree)
        more = f" (and {len(others)} more)" if others else ""
        raise BadInput(f"{where}{': ' if where else ''}{first}{more}") from None


@dataclass(frozen=True)
class Problem:
    """What is wrong with a tree of settings, and at which keys: those of a space hold dots themselves."""

    place: tuple[str, ...]
    text: str
    unknown: bool = False

    @property
    def key(self) -> str:
        """The place as a dotted key."""
        return ".".join(self.place)

    def __str__(self) -> str:
        return f"{self.key}: {self.text}" if self.place else self.text


def problems(error: ValidationError, tree: Mapping[Any, Any]) -> list[Problem]:
    """Everything that pydantic found in `tree`, one problem a place.

    A value that may be of several kinds is told once: what fits none of them, or what is wrong deepest inside it. So is
    a list or a mapping that only lacks what is told of its items.
    """
    found: dict[tuple[str, ...], list[tuple[tuple[str, ...], Any]]] = {}
    for problem in error.errors(include_url=False):
        missing = problem["type"] == "missing"
        place = tuple(_known(problem["loc"][:-1] if missing else problem["loc"], tree))
        shared = tuple(map(str, problem["loc"][: len(place)]))
        top = tuple(_before_branches(place, shared))
        found.setdefault(top, []).append((place, problem))
    told = [_one(alike) for alike in found.values()]
    within = {one.place[:length] for one in told for length in range(len(one.place))}
    return [one for one in told if one.place not in within or not one.place]


def _one(alike: list[tuple[tuple[str, ...], Any]]) -> Problem:
    """The deepest of the problems of one value; where they are equally deep, what each asks for."""
    deepest = max((place for place, _ in alike), key=len)
    texts = list(dict.fromkeys(_text(problem) for place, problem in alike if place == deepest))
    unknown = any(problem["type"] == "extra_forbidden" for place, problem in alike if place == deepest)
    return Problem(deepest, " or ".join([texts[0], *(_asked(text) for text in texts[1:])]), unknown)


def _text(problem: Any) -> str:
    text: str = problem["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
    if problem["type"] == "extra_forbidden":
        return "unknown key; `fsamc plan show` lists them all"
    if problem["type"] == "missing":
        return f"{problem['loc'][-1]} is missing"
    if problem["type"] == "value_error":
        return text
    return f"found {problem['input']!r}; {text[0].lower()}{text[1:]}"


def _asked(text: str) -> str:
    return text.rpartition("; ")[2].removeprefix("input should be ")


def _before_branches(place: tuple[str, ...], shared: tuple[str, ...]) -> Iterator[str]:
    """The keys that an error's location begins with, up to where pydantic names the branch of a union."""
    for known, part in zip(place, shared, strict=True):
        if known != part:
            return
        yield known


def _known(place: Sequence[int | str], tree: Any) -> Iterator[str]:
    """The parts of an error's place that are in `tree`: pydantic puts the branches of unions between them."""
    for part in place:
        below = dict(enumerate(tree)) if isinstance(tree, (list, tuple)) else tree
        found = [key for key in below if str(key) == str(part)] if isinstance(below, Mapping) else []
        if found:
            tree = below[found[0]]
            yield str(part)
