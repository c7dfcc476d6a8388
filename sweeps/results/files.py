"""Files written so that a kill or a full disk leaves a whole one, and read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from fsamc.errors import BadInput, naming


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    with naming(path):
        beside.write_bytes(content.encode() if isinstance(content, str) else content)
        beside.replace(path)


def append(path: Path, text: str) -> None:
    """Append whole lines; only the last may be torn by a kill."""
    with naming(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty if the file is not there. Raises BadInput where it is not what `write_whole` left."""
    try:
        content = json.loads(path.read_bytes()) if path.exists() else {}
    except ValueError as error:
        raise BadInput(f"{path}: {' '.join(str(error).split())}; expected JSON, restore it from a copy") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path}: holds a {type(content).__name__}; expected a JSON object, restore it from a copy")
    return content


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield what each line of a file holds, without those that a kill has torn; nothing if it is not there."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        with suppress(ValueError):
            yield json.loads(line)
