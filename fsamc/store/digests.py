"""Digests of content: of what can be written as JSON, and of files."""

from __future__ import annotations

import json
from pathlib import Path

import xxhash


def digest(*parts: object) -> str:
    """Return a hash (32 hex digits) of JSON-able parts: equal content, equal key, in any process."""
    return xxhash.xxh3_128_hexdigest(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode())


def file_digest(path: Path) -> str:
    """Return a hash (32 hex digits) of a file's bytes."""
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
