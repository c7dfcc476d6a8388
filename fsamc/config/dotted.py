"""Dotted keys: one name per knob, the same in plans, on the command line, in tables and in MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
        raise BadInput(f"{where}{': ' if where else ''}{_first(error, tree)}") from None


def _first(error: ValidationError, tree: Mapping[Any, Any]) -> str:
    """The first of the errors as one line; how many more there are at its end."""
    problem = error.errors(include_url=False)[0]
    missing = problem["type"] == "missing"
    key = ".".join(_known(problem["loc"][:-1] if missing else problem["loc"], tree))
    text = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        text = "unknown key; `fsamc plan show` lists them all"
    elif missing:
        text = f"{problem['loc'][-1]} is missing"
    elif problem["type"] != "value_error":
        text = f"found {problem['input']!r}; {text[0].lower()}{text[1:]}"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{key}: {text}{more}" if key else f"{text}{more}"


def _known(place: Sequence[int | str], tree: Any) -> Iterator[str]:
    """The parts of an error's place that are in `tree`: pydantic puts the branches of unions between them."""
    for part in place:
        below = dict(enumerate(tree)) if isinstance(tree, (list, tuple)) else tree
        found = [key for key in below if str(key) == str(part)] if isinstance(below, Mapping) else []
        if found:
            tree = below[found[0]]
            yield str(part)
