"""Safety check of torch.export programs before they are loaded.

torch itself runs what a file asks it to: pickles, libraries, expressions.

A program is read as a closed list: a graph of tensor operations, and numbers. What passes is written anew into
memory, so that torch reads what was checked and nothing else; example inputs, which are a pickle, stay behind.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_FILES = re.compile(
    r"models/model\.json|archive_format|archive_version|byteorder|version|\.data/\w+|\.format_version|"
    r"\.storage_alignment|data/weights/(?:weight_\d+|model_weights_config\.json)|"
    r"data/constants/(?:tensor_\d+|model_constants_config\.json)|data/sample_inputs/model\.pt"
)
_PICKLE = "data/sample_inputs/model.pt"
_LARGEST_TEXT = 64 << 20  # bytes of a graph or a list of weights
_OPERATIONS = re.compile(
    r"torch\.ops\.(?:aten\.(?!from_file|save|warn|_print)\w+(?:\.\w+)?"
    r"|higher_order\.(?:wrap_with_set_grad_enabled|wrap_with_autocast|cond))"
    r"|_operator\.(?:getitem|add|sub|mul|floordiv|truediv|mod|neg|pow|eq|ne|lt|le|gt|ge|and_|or_|not_)"
    r"|torch\.sym_(?:int|float|max|min|not|ite|sum)|math\.(?:ceil|floor|trunc|sqrt)"
)
_NAME = re.compile(r"[\w.+\-:]*")
_TREES = (None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict")
# Sizes as SymPy writes them, and conditions on them: torch evaluates both as Python.
_ARITHMETIC = re.compile(r"[\w\s'\[\]().,+\-*/%=<>!&|~]*")
_FUNCTIONS = """
    Symbol Integer Float Rational Add Mul Pow Mod Max Min Abs FloorDiv CleanDiv CeilDiv ModularIndexing PythonMod
    FloorToInt CeilToInt TruncToInt RoundToInt ToFloat IntTrueDiv FloatTrueDiv PowByNatural FloatPow Identity Where
    Eq Ne Lt Le Gt Ge Equality Unequality StrictLessThan LessThan StrictGreaterThan GreaterThan And Or Not Piecewise
    int float max min sym_max sym_min
"""
_OTHERS = """
    positive integer nonnegative nonzero negative real finite evaluate True False None oo int_oo L and or not if else
"""
_WORDS = frozenset([*_FUNCTIONS.split(), *_OTHERS.split()])
_SIZE = re.compile(r"[a-z]+\d+")  # s34, u0
_ATTRIBUTES = ("size", "stride", "storage_offset")
_UNREAD = ("metadata", "as_string", "comment")  # torch only keeps the first, and quotes the others


def checked_program(path: Path) -> io.BytesIO:
    """Read the program in a file, written anew without its example inputs.

    Raises:
        ValueError: it holds what is no graph of tensor operations; OSError, BadZipFile: it cannot be read.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(written, "w") as clean:
        names = archive.namelist()
        top = names[0].partition("/")[0] if names else ""
        for info in archive.infolist():
            name = info.filename.removeprefix(f"{top}/")
            if not _FILES.fullmatch(name) or names.count(info.filename) > 1:
                raise ValueError(f"holds {info.filename[:80]!r}, which belongs to no program of tensor operations")
            if info.compress_type != zipfile.ZIP_STORED:
                raise ValueError(f"{name} is packed, which torch.export.save does not do")
            content = b"" if name == _PICKLE else archive.read(info)
            if name.endswith(".json"):
                _check_json(name, content)
            clean.writestr(zipfile.ZipInfo(info.filename), content)
    written.seek(0)
    return written


def _check_json(name: str, content: bytes) -> None:
    if len(content) > _LARGEST_TEXT:
        raise ValueError(f"{name} has {len(content)} bytes, {_LARGEST_TEXT} are the most")
    held = json.loads(content)
    if name == "models/model.json":
        for key, value in _strings(held, ""):
            _check_string(key, value)
        return
    for weight, kept in held["config"].items():
        if kept.get("use_pickle") is not False or not re.fullmatch(r"(?:weight|tensor)_\d+", str(kept["path_name"])):
            raise ValueError(f"{weight[:80]!r} is pickled, and a pickle may run anything")


def _strings(held: Any, key: str) -> Iterator[tuple[str, str]]:
    """Every text that torch would read, names of keys included, with the key that it stands under."""
    if isinstance(held, dict):
        for name, value in held.items():
            yield "", name
            if name not in _UNREAD:
                yield from _strings(value, name)
    elif isinstance(held, list):
        for value in held:
            yield from _strings(value, key)
    elif isinstance(held, str):
        yield key, held


def _check_string(key: str, text: str) -> None:
    if key in ("in_spec", "out_spec"):
        fine = all(kind in _TREES for kind in _kinds(json.loads(text)[1]))
    elif key in ("expr_str", "guards_code"):
        fine = _is_arithmetic(text)
    elif key == "target":
        fine = _OPERATIONS.fullmatch(text) is not None
    else:
        fine = _NAME.fullmatch(text) is not None
    if not fine:
        raise ValueError(f"{key or 'a key'} is {text[:80]!r}, which is no tensor operation")


def _kinds(tree: Any) -> Iterator[Any]:
    yield tree["type"]
    for below in tree["children_spec"]:
        yield from _kinds(below)


def _is_arithmetic(text: str) -> bool:
    """Whether an expression is made of sizes, numbers and the functions that torch writes, and of nothing else."""
    if not _ARITHMETIC.fullmatch(text) or "__" in text:
        return False
    plain = re.sub(r"'\w*'", "", text)
    if "'" in plain or any(name not in _ATTRIBUTES for name in re.findall(r"\.\s*([A-Za-z_]\w*)", plain)):
        return False
    words = re.findall(r"(?<![\w.])[A-Za-z_]\w*", plain)
    return all(word in _WORDS or word in _ATTRIBUTES or _SIZE.fullmatch(word) for word in words)
