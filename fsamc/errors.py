"""Errors: those that users can mend, and those of the disk that say where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path


class BadInput(ValueError):
    """Input that cannot be used: one line with the rule, what is wrong and the remedy.

    The command line prints it and exits with 2. Raised before work starts and nothing is written.
    """

    @property
    def lines(self) -> tuple[str, ...]:
        """What the command line prints."""
        return (str(self),)


class BadInputs(BadInput):
    """Several things at once, a line each."""

    @property
    def lines(self) -> tuple[str, ...]:
        """What the command line prints: every line."""
        return tuple(str(self).splitlines())


def did_you_mean(word: str, names: Iterable[str]) -> str:
    """Return `; did you mean NAME?` for the name that is nearest to a word that is none; empty where none is near."""
    near = get_close_matches(word, list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


@contextmanager
def naming(place: Path) -> Iterator[None]:
    """Let errors of the disk name `place` where they name no file: on closing one, the system does not say which."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(place)) from error
