"""The doctor's options and its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsamc.data.remote import Source
from fsamc.errors import BadInput

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """The options of `fsamc doctor`: what is None is not looked at."""

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
        finding: what is so.
        mend: what to do; empty where all is well.
    """

    subject: str
    level: Level
    finding: str
    mend: str = ""


def ok(subject: str, finding: str) -> Check:
    """Say that all is well."""
    return Check(subject=subject, level="ok", finding=finding)


def warning(subject: str, finding: str, mend: str) -> Check:
    """Say that something may go wrong."""
    return Check(subject=subject, level="warning", finding=finding, mend=mend)


def problem(subject: str, finding: str, mend: str) -> Check:
    """Say that something will go wrong."""
    return Check(subject=subject, level="problem", finding=finding, mend=mend)


def refused(subject: str, finding: str, look: Callable[[], object]) -> Iterator[Check]:
    """Say that all is well; or what the BadInput says that `look` raises, whose lines end in the mend.

    What `look` returns is added to the finding.
    """
    try:
        more = look()
    except BadInput as error:
        for line in error.lines:
            text, _, mend = line.rpartition("; ")
            yield problem(subject, text or line, mend if text else "correct it")
    else:
        yield ok(subject, finding if more is None else f"{finding}: {more}")
