"""Options of the doctor, and its findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fsamc.data.remote import Source
from fsamc.errors import BadInput


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


@dataclass(frozen=True)
class Check:
    """One finding.

    Attributes:
        subject: what was looked at.
        level: `problem` if a sweep will fail or is open to strangers, `warning` if it may.
        finding: what is so.
        mend: what to do; empty where all is well.
    """

    subject: str
    level: Literal["ok", "warning", "problem"]
    finding: str
    mend: str = ""


def graded(subject: str, finding: str, mend: str, *, problem: bool = False, warning: bool = False) -> Check:
    """Return the finding at the level that is true of it; without the mend where neither is."""
    if not (problem or warning):
        return Check(subject, "ok", finding)
    return Check(subject, "problem" if problem else "warning", finding, mend)


def refused(subject: str, finding: str, look: Callable[[], object]) -> Iterator[Check]:
    """Yield that all is well; or what the BadInput says that `look` raises, whose lines end in the mend.

    What `look` returns is added to the finding.
    """
    try:
        more = look()
    except BadInput as error:
        for line in error.lines:
            text, _, mend = line.rpartition("; ")
            yield Check(subject, "problem", text or line, mend if text else "correct it")
    else:
        yield Check(subject, "ok", finding if more is None else f"{finding}: {more}")
