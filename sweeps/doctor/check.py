"""What the doctor is asked, and one thing that it found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsamc.data.remote import Source
from fsamc.errors import BadInput

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `fsamc doctor` was given: what is None is not looked at."""

    cache: Path
    data: Source | None = None
    textures: Source | None = None
    out: Path | None = None
    address: str | None = None
    tracking_uri: str | None = None
    backbone: str | None = None
    weights: str | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding.

    Attributes:
        subject: what was looked at.
        level: `problem` if a sweep will fail or is open to strangers, `warning` if it may.
        found: what is so.
        mend: what to do; empty where all is well.
    """

    subject: str
    level: Level
    found: str
    mend: str = ""


def ok(subject: str, found: str) -> Check:
    """All is well."""
    return Check(subject=subject, level="ok", found=found)


def warning(subject: str, found: str, mend: str) -> Check:
    """Something may go wrong."""
    return Check(subject=subject, level="warning", found=found, mend=mend)


def problem(subject: str, found: str, mend: str) -> Check:
    """Something will go wrong."""
    return Check(subject=subject, level="problem", found=found, mend=mend)


def refused(subject: str, found: str, look: Callable[[], object]) -> Iterator[Check]:
    """That all is well, with what was found; or the lines of the BadInput that `look` raises, which end in the mend.

    What `look` returns is added to what was found.
    """
    try:
        more = look()
    except BadInput as error:
        for line in error.lines:
            found, _, mend = line.rpartition("; ")
            yield problem(subject, found or line, mend if found else "correct it")
    else:
        yield ok(subject, found if more is None else f"{found}: {more}")
