"""YAML with the line of every key. PyYAML forgets the lines, and silently takes the last of two equal keys.

PyYAML also reads 010 as 8, 1:30 as 90, `no` as false and 2024-01-01 as a date. Here these are text, as in the name of a
folder: what is no text is so in YAML 1.1 and 1.2 alike.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from fsamc.config.dotted import Problem

Place = tuple[str, ...]
_LARGEST = 100_000  # entries of a plan
_PLAIN = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)  # text that neither YAML nor a shell takes for something else
_INTEGERS = 1 << 63
_NUMBER, _POWER = list("-+.0123456789"), r"(?:[eE][-+][0-9]+)?"


class Mark(NamedTuple):
    """Where a key or an item begins, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class YamlDocument:
    """What a text holds.

    Attributes:
        value: as YAML means it.
        marks: of every key of a mapping and item of a list, by the keys that lead to it.
        twice: keys that one mapping has more than once.
    """

    value: Any
    marks: dict[Place, Mark]
    twice: tuple[tuple[Mark, Problem], ...]


class NotYaml(Exception):
    """The text is no YAML: `LINE:COLUMN` where that is known, and what is wrong."""

    def __init__(self, mark: Mark | None, text: str) -> None:
        super().__init__(text)
        self.mark = mark


class _Loader(yaml.SafeLoader):
    """PyYAML's loader with the values on which YAML 1.1 and 1.2 agree, and an error with its place for a wrong one."""

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  # PyYAML's own name and form

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Construct what a node says. Raises ConstructorError."""
        try:
            value = super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError, OverflowError):
            kind = node.tag.rpartition(":")[2]
            raise self._refused(node, f"{str(node.value)[:20]!r} cannot be read as {kind}") from None
        if isinstance(value, int) and abs(value) >= _INTEGERS:
            raise self._refused(node, f"a whole number of {len(node.value)} digits; 18 are the most")
        return value

    @staticmethod
    def _refused(node: yaml.Node, text: str) -> yaml.MarkedYAMLError:
        return yaml.constructor.ConstructorError(None, None, text, node.start_mark)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+", _NUMBER),
    (
        "float",
        rf"(?:[-+]?(?:0|[1-9][0-9]*)\.[0-9]*|\.[0-9]+){_POWER}|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        _NUMBER,
    ),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def change_to_names(key: str, names: Sequence[str]) -> str:
    """Return the word of a command line that sets `key` to these texts: for a shell, and for YAML."""
    if all(_PLAIN.fullmatch(name) and isinstance(read_yaml(name).value, str) for name in names):
        return f"{key}=[{','.join(names)}]"
    return shlex.quote(f"{key}={json.dumps(list(names), ensure_ascii=False, separators=(',', ':'))}")


def as_yaml(value: Any) -> str:
    """Write a value as one line of YAML."""
    text: str = yaml.safe_dump(list(value) if isinstance(value, tuple) else value, default_flow_style=True, width=1000)
    return text.removesuffix("\n").removesuffix("\n...")


def read_yaml(text: str) -> YamlDocument:
    """One document of plain YAML with the places of its keys. Raises NotYaml."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return YamlDocument(None, {}, ())
        _check_size(node, {})
        twice = tuple(_twice(node, ()))
        value = loader.construct_document(node)  # puts `<<` where it belongs
        return YamlDocument(value, dict(_marks(node, ())), twice)
    except yaml.MarkedYAMLError as error:
        raise NotYaml(_mark(error.problem_mark), _what(error)) from None
    except yaml.YAMLError as error:
        raise NotYaml(None, " ".join(str(error).split())) from None
    except RecursionError:
        raise NotYaml(None, "nested too deeply") from None


def _check_size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """How many nodes there are once every alias is written out. Raises NotYaml for more than any plan has."""
    if id(node) not in sizes:
        sizes[id(node)] = 0  # being counted
        sizes[id(node)] = 1 + sum(_check_size(value, sizes) for _, _, value in _below(node))
    if not sizes[id(node)]:
        raise NotYaml(None, "an alias holds itself")
    if sizes[id(node)] > _LARGEST:
        raise NotYaml(_mark(node.start_mark), f"more than {_LARGEST} entries once its aliases are written out")
    return sizes[id(node)]


def _marks(node: yaml.Node, place: Place) -> Iterator[tuple[Place, Mark]]:
    for part, key, value in _below(node):
        yield (*place, part), _mark(key.start_mark)
        yield from _marks(value, (*place, part))


def _twice(node: yaml.Node, place: Place) -> Iterator[tuple[Mark, Problem]]:
    first: dict[str, Mark] = {}
    for part, key, value in _below(node):
        mark = _mark(key.start_mark)
        if part in first:
            yield mark, Problem((*place, part), f"is there already in line {first[part].line}; keep one of them")
        first.setdefault(part, mark)
        yield from _twice(value, (*place, part))


def _below(node: yaml.Node) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    """(name, where it is written, what it holds) of a mapping's keys and a list's items; those of `<<` as one key."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key, value
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield str(place), item, item


def _mark(mark: Any) -> Mark:
    return Mark(mark.line + 1, mark.column + 1)


def _what(error: yaml.MarkedYAMLError) -> str:
    if "'\\t'" in str(error.problem):
        return "a tab; YAML is indented by spaces"
    about = f"{error.context}: " if error.context else ""
    began = f" (it began in line {error.context_mark.line + 1})" if error.context_mark else ""
    return f"{about}{error.problem}{began}"
