"""Dotted keys: one name per knob, the same in plans, on the command line, in tables and in MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fsamc.config.kinds import without_other_kinds
from fsamc.errors import BadInput, did_you_mean

Model = TypeVar("Model", bound=BaseModel)


def flatten(tree: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Write nested mappings as one level: `{"a": {"b": 1}}` becomes `{"a.b": 1}`. Empty mappings stay as they are."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def with_value(tree: Mapping[Any, Any], key: str, value: Any) -> dict[Any, Any]:
    """Copy nested mappings, the dotted `key` holding `value`."""
    name, _, rest = key.partition(".")
    same = next((key for key in tree if str(key) == name), name)  # YAML reads `2: 45` as a number
    below = tree.get(same)
    nested = with_value(below if isinstance(below, Mapping) else {}, rest, value) if rest else value
    return {**tree, same: nested}


def updated(model: Model, values: Mapping[str, Any], *, where: str = "") -> Model:
    """Change dotted keys of `model` and validate it again; where a kind changes, what only the old one had goes.

    Raises:
        BadInput: a key that does not exist or a value that may not be.
    """
    tree: dict[Any, Any] = model.model_dump(mode="json")
    kinds = {key: value for key, value in values.items() if key.endswith(".kind")}
    for changes in (kinds, values):
        for key, value in changes.items():
            tree = with_value(tree, key, value)
        tree = without_other_kinds(type(model), tree) if changes is kinds else tree
    return validated(type(model), tree, where=where)


def validated(kind: type[Model], tree: Mapping[Any, Any], *, where: str = "") -> Model:
    """Make a `kind` of `tree`. Raises BadInput with one line: the key, what was found, what was expected."""
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
    """List everything that pydantic found in `tree`, one problem a place.

    A value that may be of several kinds is told once: what fits none of them, or what is wrong deepest inside it. So is
    a list or a mapping that only lacks what is told of its items.
    """
    by_place: dict[tuple[str, ...], list[tuple[tuple[str, ...], Any]]] = {}
    for problem in error.errors(include_url=False):
        missing, tag = (problem["type"] == name for name in ("missing", "union_tag_invalid"))
        loc = tuple(_untagged(problem["loc"], tree))
        loc = (*loc, "kind") if tag else loc[: -1 if missing else None]
        place = tuple(_written(loc, tree))
        shared = tuple(map(str, loc[: len(place)]))
        top = tuple(key for key, _ in takewhile(lambda pair: pair[0] == pair[1], zip(place, shared, strict=True)))
        by_place.setdefault(top, []).append((place, problem))
    told = [_one(alike) for alike in by_place.values()]
    within = {one.place[:length] for one in told for length in range(len(one.place))}
    return [one for one in told if one.place not in within or not one.place]


def _one(alike: list[tuple[tuple[str, ...], Any]]) -> Problem:
    """Tell the deepest of the problems of one value; where they are equally deep, what each expects."""
    deepest = max((place for place, _ in alike), key=len)
    texts = list(dict.fromkeys(_text(problem) for place, problem in alike if place == deepest))
    unknown = any(problem["type"] == "extra_forbidden" for place, problem in alike if place == deepest)
    return Problem(deepest, " or ".join([texts[0], *(_expected(text) for text in texts[1:])]), unknown)


def _text(problem: Any) -> str:
    text: str = problem["msg"].removeprefix("Value error, ").replace("valid tuple", "valid list")
    if problem["type"] == "extra_forbidden":
        return "unknown key; `fsamc plan show` lists them all"
    if problem["type"] == "missing":
        return f"{problem['loc'][-1]} is missing"
    if problem["type"] == "union_tag_invalid":
        kind, expected = problem["ctx"]["tag"], problem["ctx"]["expected_tags"].replace("'", "")
        return f"unknown kind {kind!r}, expected one of {expected}{did_you_mean(kind, expected.split(', '))}"
    if problem["type"] == "value_error":
        return text
    return f"found {problem['input']!r}; {text[0].lower()}{text[1:]}"


def _expected(text: str) -> str:
    return text.rpartition("; ")[2].removeprefix("input should be ")


def _untagged(loc: Sequence[int | str], tree: Any) -> Iterator[int | str]:
    """Yield the parts of an error's place but for the kinds that pydantic puts between the keys."""
    for number, part in enumerate(loc, start=1):
        if isinstance(tree, Mapping) and part not in tree and number < len(loc) and str(part).isidentifier():
            continue
        tree = tree.get(part) if isinstance(tree, Mapping) else None
        yield part


def _written(place: Sequence[int | str], tree: Any) -> Iterator[str]:
    """Yield the parts of an error's place that are in `tree`: pydantic puts the branches of unions between them."""
    for part in place:
        below = dict(enumerate(tree)) if isinstance(tree, (list, tuple)) else tree
        same = [key for key in below if str(key) == str(part)] if isinstance(below, Mapping) else []
        if same:
            tree = below[same[0]]
            yield str(part)
