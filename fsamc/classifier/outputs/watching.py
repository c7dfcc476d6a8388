"""Pictures that come into folders while somebody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fsamc.classifier.pictures import pictures_below

State = tuple[int, int]  # of a file: bytes, and nanoseconds when it was changed


def arriving(folders: Sequence[Path], wait: Callable[[], bool]) -> Iterator[list[Path]]:
    """Yield, look by look, the pictures that have stopped growing since the look before.

    Those that are there at the start are among them. A picture that is written over comes again.

    Args:
        folders: which are looked into with the folders in them.
        wait: returns when it is time for the next look, and whether there is to be none.

    Raises:
        BadInput: a folder can no longer be read.
    """
    before: dict[Path, State] = {}
    yielded: dict[Path, State] = {}
    while True:
        there = {path: state for folder in folders for path in pictures_below(folder) if (state := _state(path))}
        ready = [path for path, state in there.items() if before.get(path) == state != yielded.get(path)]
        if ready:
            yield ready
        yielded = {path: state for path, state in yielded.items() if path in there}
        yielded |= {path: there[path] for path in ready}
        before = there
        if wait():
            return


def _state(path: Path) -> State | None:
    """Size and time of a file; nothing where it has gone, or is still empty."""
    try:
        state = path.stat()
    except OSError:
        return None
    return (state.st_size, state.st_mtime_ns) if state.st_size else None
