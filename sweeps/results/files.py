"""Files of OUT, written so that a kill, a full disk or a power cut leaves a whole one, and read back."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fsamc.errors import BadInput, naming


def append(path: Path, text: str) -> None:
    """Append whole lines; only the last may be torn by a kill. They are on the disk after `sync`."""
    with naming(path), open(path, "ab") as file:
        file.write(text.encode())


def read_file(path: Path) -> bytes | None:
    """Read a file; None if there is none. Raises BadInput for what is no file: a pipe would wait for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BadInput(f"{path}: is not a file; remove it, or give another folder")
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; mend that, or give another folder") from error


def read_json(path: Path, *, mend: str = "restore it from a copy") -> dict[str, Any]:
    """Read a JSON object; empty if the file is not there.

    Raises BadInput, which ends in what would `mend` it, where the file is not what `write_whole` left.
    """
    text = read_file(path)
    try:
        content = {} if text is None else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: {' '.join(str(error).split())}; expected JSON, {mend}") from error
    if not isinstance(content, dict):
        raise BadInput(f"{path}: holds a {type(content).__name__}; expected a JSON object, {mend}")
    return content


def read_lines(path: Path) -> Iterator[dict[str, Any] | None]:
    """Yield what each whole line of a file holds, None for one that is damaged; nothing if there is no file.

    A last line that has no end is torn by a kill, or being written: it is left out.
    """
    *lines, _ = (read_file(path) or b"").split(b"\n")
    yield from map(parse_line, lines)


def parse_line(line: bytes) -> dict[str, Any] | None:
    """Parse a line that is a JSON object; None where it is damaged."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None
