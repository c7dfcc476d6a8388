"""Photos of a category, as a classifier is handed them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fsamc.data.category import Category

FREE = {"head.kind": "prototype", "representation.patches": 8}


def files(category: Category, paths: Sequence[str]) -> list[Path]:
    return [category.folder / path for path in paths]
