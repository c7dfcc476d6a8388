"""Errors: those that users can mend, and those of the disk that say where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def naming(place: Path) -> Iterator[None]:
    """Let errors of the disk name `place` where they name no file: on closing one, the system does not say which."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, error.filename or str(place)) from error
