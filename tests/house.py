"""House rules that no linter knows: sizes, addresses and names in the product's packages. Part of `make check`."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("fsamc", "cluster", "sweeps")
FILE_LINES, FUNCTION_LINES, FOLDER_FILES = 300, 50, 14
SAME_NAME_ALLOWED = {"__init__.py", "__main__.py", "base.py"}
RIDDLE = re.compile(r"(What|How|Whether|Which|Who|Where|When|That|Everything)\b")
EMPTY_NAMES = {"found", "known", "given", "wanted"}
PROMISED = {("Prediction", "known"), ("Region", "known")}  # by the contract with callers
Function = ast.FunctionDef | ast.AsyncFunctionDef


def violations(root: Path) -> Iterator[str]:
    """Yield a line for everything under `root` that breaks a rule."""
    for package in PACKAGES:
        files = sorted((root / package).rglob("*.py"))
        yield from _of_folders(files, root)
        yield from _of_file_names(files, root)
        for file in files:
            yield from _of_file(file, file.relative_to(root))
    yield from _of_public_names(root)


def _of_folders(files: list[Path], root: Path) -> Iterator[str]:
    count: dict[Path, int] = defaultdict(int)
    for file in files:
        count[file.parent] += file.name != "__init__.py"
    for folder, n_files in count.items():
        if n_files > FOLDER_FILES:
            yield f"{folder.relative_to(root)}: {n_files} files, at most {FOLDER_FILES} in a folder; make rooms"


def _of_file_names(files: list[Path], root: Path) -> Iterator[str]:
    places = defaultdict(list)
    for file in files:
        if file.name not in SAME_NAME_ALLOWED and "cli" not in file.parts:
            places[file.name].append(str(file.relative_to(root)))
    for same in places.values():
        if len(same) > 1:
            yield f"{' and '.join(same)}: one file name twice in a package; rename one"


def _of_file(file: Path, name: Path) -> Iterator[str]:
    text = file.read_text()
    tree = ast.parse(text)
    if (n_lines := text.count("\n")) > FILE_LINES:
        yield f"{name}: {n_lines} lines, at most {FILE_LINES}"
    if RIDDLE.match(ast.get_docstring(tree) or ""):
        yield f"{name}:1: a module's docstring begins with a noun"
    for node in ast.walk(tree):
        if isinstance(node, Function):
            yield from _of_function(node, name)
        elif isinstance(node, ast.ClassDef):
            yield from _of_class(node, name)


def _of_function(function: Function, file: Path) -> Iterator[str]:
    first = function.body[0]
    docstring = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(function) else 0
    n_lines = (function.end_lineno or 0) - function.lineno + 1 - docstring
    if n_lines > FUNCTION_LINES:
        yield f"{file}:{function.lineno}: {function.name} has {n_lines} lines, at most {FUNCTION_LINES}"
    arguments = function.args
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.arg in EMPTY_NAMES:
            yield f"{file}:{function.lineno}: {function.name}({argument.arg}): name what it is"


def _of_class(one: ast.ClassDef, file: Path) -> Iterator[str]:
    for node in one.body:
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        if node.target.id in EMPTY_NAMES and (one.name, node.target.id) not in PROMISED:
            yield f"{file}:{node.lineno}: {one.name}.{node.target.id}: name what it is"


def _of_public_names(root: Path) -> Iterator[str]:
    places = defaultdict(list)
    for package in PACKAGES:
        for file in sorted((root / package).rglob("*.py")):
            if "cli" in file.parts:
                continue
            for node in ast.parse(file.read_text()).body:
                if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
                    places[node.name].append(str(file.relative_to(root)))
    for name, same in places.items():
        if len(same) > 1:
            yield f"{' and '.join(same)}: `{name}` is defined twice; rename one"


if __name__ == "__main__":
    lines = list(violations(Path(__file__).parents[1]))
    print("\n".join(lines) or "house rules: kept", file=sys.stderr)
    sys.exit(bool(lines))
