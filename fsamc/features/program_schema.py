"""Schema of an exported program's JSON: every field by its type, every text by what the field is for.

The types are torch's own (`torch._export.serde.schema`). What torch runs, evaluates, or writes into code that it then
runs is a text: names of variables, operations, sizes, the trees of inputs and outputs. So a text passes only in a field
that is listed here, if it is of that field's form. Fields that torch does not need come out empty.
"""

from __future__ import annotations

import dataclasses
import json
import keyword
import re
import types
import typing
from collections.abc import Callable
from enum import IntEnum
from typing import Any

from torch._export.serde import schema
from torch._export.serde.union import _Union

from fsamc.features.size_expressions import checked_size

_LARGEST = 2**63 - 1
_OPERATIONS = re.compile(
    r"torch\.ops\.(?:aten\.(?!from_file|save|warn|_print)\w+(?:\.\w+)?"
    r"|higher_order\.(?:wrap_with_set_grad_enabled|wrap_with_autocast|cond))"
    r"|_operator\.(?:getitem|add|sub|mul|floordiv|truediv|mod|neg|pos|eq|ne|lt|le|gt|ge|and_|or_)"
    r"|torch\.sym_(?:int|float|max|min|not|ite|sum|sqrt)|math\.(?:ceil|floor|trunc)",
    re.ASCII,
)
# Operations that take a word. No other one does: those that open files would need one.
_TAKE_WORDS = re.compile(
    r"torch\.ops\.(?:higher_order\.wrap_with_autocast|aten\.(?:gelu_?|div_?|divide_?|einsum|pad|norm|meshgrid|quantile|"
    r"nanquantile|scatter_?|scatter_reduce_?|index_reduce_?|searchsorted|stft|linalg_\w+|_assert_scalar|"
    r"_assert_async|_assert_tensor_metadata|conv\dd)(?:\.\w+)?)",
    re.ASCII,
)
_TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict",
          "torch.fx.immutable_collections.immutable_dict")  # fmt: skip
_EMPTY: dict[str, Any] = {"metadata": {}, "treespec_namedtuple_fields": {}, "custom_obj_values": {}}

_VARIABLE = re.compile(r"[A-Za-z_]\w{0,199}", re.ASCII)
_PATH = re.compile(r"[\w.@+\-]{0,500}", re.ASCII)
_WORD = re.compile(r"[\w.+\-:]{0,100}", re.ASCII)
_SAYING = re.compile(r"[ -~]{0,500}", re.ASCII)
_SYMBOL = re.compile(r"[a-z]{1,4}\d{1,6}", re.ASCII)
_GUARD = re.compile(r"(?!.*__)[\w\s'\[\]().,+\-*/%=<>!&|~]{0,5000}", re.ASCII)
_PAYLOAD = re.compile(r"(?:weight|tensor)_\d{1,9}", re.ASCII)
_DEVICE = re.compile(r"[a-z]{1,20}", re.ASCII)


def checked_graph(content: bytes) -> bytes:
    """Check a program's graph and write it anew. Raises ValueError, naming the field."""
    return _written(schema.ExportedProgram, content)


def checked_payloads(content: bytes) -> bytes:
    """Check the list of a program's weights or constants and write it anew. Raises ValueError, naming the field."""
    for name, payload in json.loads(content).get("config", {}).items():
        if payload.get("use_pickle") is not False:
            raise ValueError(f"{name[:80]!a} is pickled, and a pickle may run anything")
    return _written(schema.PayloadConfig, content)


def _written(kind: type, content: bytes) -> bytes:
    return json.dumps(_checked(kind, json.loads(content), kind.__name__, _refused)).encode()


def _checked(kind: Any, value: Any, field: str, text: Callable[[str], str]) -> Any:
    """Return a value if it is of a type of the schema, without what the schema does not know.

    Args:
        kind: the type, as annotated.
        value: what was read from JSON.
        field: `Class.field`, for errors.
        text: what a text in this field must be; returns it, or raises ValueError.
    """
    kind = getattr(schema, kind, kind) if isinstance(kind, str) else kind
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _checked(inner[0], value, field, text)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else _checked(inner[0], value, field, text)
    if origin is list and type(value) is list:
        return [_checked(inner[0], one, field, text) for one in value]
    if origin is dict and type(value) is dict:
        key = _KEYS.get(field, _refused)
        return {_text(key, name, f"{field}'s key"): _checked(inner[1], one, field, text) for name, one in value.items()}
    if isinstance(kind, type) and issubclass(kind, _Union):
        return _checked_union(kind, value, field)
    if dataclasses.is_dataclass(kind) and type(value) is dict:
        return _checked_class(typing.cast(type, kind), value, field)
    return _checked_leaf(kind, value, field, text)


def _checked_union(kind: type, value: Any, field: str) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, globalns=vars(schema), include_extras=True)
    if type(value) is not dict or len(value) != 1 or not hints.keys() >= value.keys():
        raise ValueError(f"{field} is {str(value)[:80]!a}, expected one of {kind.__name__}'s kinds")
    ((name, held),) = value.items()
    where = f"{kind.__name__}.{name}"
    return {name: _checked(hints[name], held, where, _TEXTS.get(where, _refused))}


def _checked_class(kind: type, value: dict[str, Any], field: str) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, globalns=vars(schema), include_extras=True)
    result = {}
    for one in dataclasses.fields(typing.cast(Any, kind)):
        where = f"{kind.__name__}.{one.name}"
        if one.name in value:
            held = _EMPTY.get(one.name, value[one.name])
            result[one.name] = _checked(hints[one.name], held, where, _TEXTS.get(where, _refused))
        elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
            raise ValueError(f"{field} has no {one.name}")
    if kind is schema.Node:
        _check_words(result)
    if "guards_code" in result:  # torch evaluates them; they only tell of sizes that do not fit, as running does
        result["guards_code"] = []
    return result


def _checked_leaf(kind: Any, value: Any, field: str, text: Callable[[str], str]) -> Any:
    if kind is str and type(value) is str:
        return _text(text, value, field)
    if isinstance(kind, type) and issubclass(kind, IntEnum) and type(value) is int and value in set(kind):
        return value
    if kind is int and type(value) is int and abs(value) <= _LARGEST:
        return value
    if kind is float and (type(value) in (int, float) or value in ("Infinity", "-Infinity", "NaN")):
        return value
    if kind is bool and type(value) is bool:
        return value
    raise ValueError(f"{field} is {str(value)[:80]!a}, expected {getattr(kind, '__name__', kind)}")


def _text(check: Callable[[str], str], text: str, field: str) -> str:
    try:
        return check(text)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        name = field.rpartition(".")[2]
        raise ValueError(f"{name} is {text[:80]!a}, which is no tensor operation ({error})") from error


def _check_words(node: dict[str, Any]) -> None:
    """Raise ValueError for an operation with a word, unless it is one that takes words and opens no files."""
    words = any(name.startswith("as_string") for one in node["inputs"] for name in one["arg"])
    if words and not _TAKE_WORDS.fullmatch(node["target"]):
        raise ValueError(f"{node['target']} takes a word, which belongs to no program of tensor operations")


def _refused(_text: str) -> str:
    raise ValueError("no text is expected there")


def _like(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def check(text: str) -> str:
        if not pattern.fullmatch(text) or keyword.iskeyword(text):
            raise ValueError("not of the form that is expected there")
        return text

    return check


def _tree(key: Callable[[str], str]) -> Callable[[str], str]:
    """Return the check of a tree of inputs or outputs, whose mappings have keys that pass `key`, or numbers."""

    def check(text: str) -> str:
        version, tree = json.loads(text)
        if type(version) is not int:
            raise ValueError("a version that is no number")
        return json.dumps([version, branch(tree)])

    def branch(tree: dict[str, Any]) -> dict[str, Any]:
        kind, context = tree["type"], tree["context"]
        names = None if context is None else json.loads(context)
        if kind not in _TREES or not (names is None or type(names) is list):
            raise ValueError("a kind of tree that is not known")
        for name in names or ():
            if type(name) is not int:
                key(name)
        children = [branch(child) for child in tree["children_spec"]]
        return {"type": kind, "context": None if context is None else json.dumps(names), "children_spec": children}

    return check


_variable, _path, _word = _like(_VARIABLE), _like(_PATH), _like(_WORD)
_saying, _operation = _like(_SAYING), _like(_OPERATIONS)
_NAMES = ("TensorArgument.name", "TokenArgument.name", "GraphArgument.name", "SymIntArgument.as_name",
          "SymFloatArgument.as_name", "SymBoolArgument.as_name", "Node.name", "InputToConstantInputSpec.name",
          "ModuleCallSignature.forward_arg_names", "UserInputMutationSpec.user_input_name",
          "GradientToUserInputSpec.user_input_name")  # fmt: skip
_PATHS = ("InputToParameterSpec.parameter_name", "InputToBufferSpec.buffer_name", "BufferMutationSpec.buffer_name",
          "InputToTensorConstantSpec.tensor_constant_name", "ParameterMutationSpec.parameter_name",
          "GradientToParameterSpec.parameter_name", "ModuleCallEntry.fqn")  # fmt: skip
_TEXTS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(_NAMES, _variable),
    **dict.fromkeys(_PATHS, _path),
    "NamedArgument.name": lambda text: text and _variable(text),
    "SymExpr.expr_str": checked_size,
    "Device.type": _like(_DEVICE),
    "Argument.as_string": _saying,
    "Argument.as_strings": _saying,
    "Argument.as_operator": _operation,
    "ConstantValue.as_string": _saying,
    "Node.target": _operation,
    "ModuleCallSignature.in_spec": _tree(_variable),
    "ModuleCallSignature.out_spec": _tree(_word),
    "ExportedProgram.guards_code": _like(_GUARD),
    "ExportedProgram.verifiers": _word,
    "ExportedProgram.torch_version": _word,
    "PayloadMeta.path_name": _like(_PAYLOAD),
}
_KEYS: dict[str, Callable[[str], str]] = {
    **dict.fromkeys(("Graph.tensor_values", "Graph.sym_int_values", "Graph.sym_bool_values"), _variable),
    "Graph.sym_float_values": _variable,
    "ExportedProgram.opset_version": _word,
    "ExportedProgram.range_constraints": _like(_SYMBOL),
    "PayloadConfig.config": _path,
}
