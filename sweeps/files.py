"""Writing files so that a kill or a full disk leaves a whole one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_whole(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    beside = path.with_name(f"{path.name}.part")
    with _naming(path):
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)


def append(path: Path, text: str) -> None:
    """Append whole lines; only the last may be torn by a kill."""
    with _naming(path), path.open("a", encoding="utf-8") as file:
        file.write(text)


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing if it is not there."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors that name the file: a full disk is told when a file is closed, and not of which."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
