"""Damage to an artifact's folder: whether what lies there is what was written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from numpy.lib.format import open_memmap

from fsamc.store.digests import file_digest

CHECKSUMS = "checksums.json"


def damage_of(folder: Path) -> str | None:
    """Say what is wrong with an artifact's folder; None where it is as it was written.

    Pipes and devices are not opened: one would wait for ever, the other never end.
    """
    if folder.is_symlink() or not folder.is_dir():  # what a link leads to may be anybody's, and change
        return "not a folder"
    try:
        return _difference(folder)
    except Exception as error:  # whatever bytes that nobody vouches for make their readers raise
        return " ".join(str(error).split()) or type(error).__name__


def _difference(folder: Path) -> str | None:
    with os.scandir(folder) as entries:
        is_file = {entry.name: entry.is_file(follow_symlinks=False) for entry in entries}
    if special := [name for name in sorted(is_file) if not is_file[name]]:
        return f"{special[0]} is not a file"
    sums: Any = json.loads((folder / CHECKSUMS).read_text())
    if not sums or not isinstance(sums, dict) or is_file.keys() != {*sums, CHECKSUMS}:
        return f"{CHECKSUMS} does not list the files that are there"
    for name, expected in sums.items():
        if file_digest(folder / name) != expected:
            return f"{name} is not as it was written"
        if name.endswith(".npy"):
            open_memmap(folder / name, mode="r")  # raises for pickled objects, and for a header that the file belies
    return None
