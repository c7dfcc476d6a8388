"""Counts as text."""

from __future__ import annotations


def counted(count: int, noun: str, verb: str = "") -> str:
    """Write `1 fold`, `2 categories`, `2 classes`; with the plural of a verb `1 fold needs`, `2 folds need`."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}{'es' if noun.endswith('s') else 's'}"
    alone = {"": "", "are": "is"}.get(verb, f"{verb}s")
    return f"{count} {noun if count == 1 else several} {alone if count == 1 else verb}".rstrip()
