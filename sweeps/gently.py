"""Process that gives way to all others, and so must be nice before it loads anything."""

from __future__ import annotations

import os
from pkgutil import resolve_name
from typing import Any

_NICE = 10


def run_gently(target: str, *args: Any) -> None:
    """Call the function `target`, MODULE:NAME, with the lowest claims on the processor; in a process of its own."""
    os.nice(_NICE)
    resolve_name(target)(*args)
