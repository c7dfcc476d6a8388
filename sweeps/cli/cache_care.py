"""Looking after a cache: what it holds, and what may go."""

from __future__ import annotations

import contextlib
import shutil
import stat
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout
from rich.table import Table
from rich.text import Text

from fsamc.data.folders import is_of_a_system
from fsamc.data.remote import MIRRORS
from fsamc.store.damage import CHECKSUMS
from fsamc.store.store import BUILDS, DAMAGED, LOCKS, TEMPORARY, Store

_DAY = 86400.0
_OBSTRUCTIONS = "obstructions"
_LEFTOVERS = {
    TEMPORARY: "left by killed runs",
    DAMAGED: "damaged, set aside",
    _OBSTRUCTIONS: "no folder, in the place of one",
}


class Kind(NamedTuple):
    """What a cache holds of one kind."""

    kind: str
    number: int
    bytes: int


def kinds_in(cache: Path) -> list[Kind]:
    """Count the artifacts of each kind that a cache holds, leftovers last."""
    number: Counter[str] = Counter()
    size: Counter[str] = Counter()
    mirrors = ((MIRRORS, folder) for folder in _mirrors(cache))
    strange = ((_OBSTRUCTIONS, place) for place in Store(cache).obstructions())
    for kind, folder in [*_artifacts(cache), *mirrors, *_leftovers(cache), *strange]:
        number[kind] += 1
        size[kind] += _bytes(folder)
    kinds = sorted(number, key=lambda kind: (kind in _LEFTOVERS, kind))
    return [Kind(_LEFTOVERS.get(kind, kind), number[kind], size[kind]) for kind in kinds]


def passed_over(cache: Path) -> Iterator[str]:
    """Yield a line for each folder that is in the place of an artifact, and is neither counted nor removed."""
    artifacts = {folder for _, folder in _artifacts(cache)}
    for place in sorted(cache.glob("[!.]*/[!.]*")):
        kind = place.parent.name
        if not place.is_dir() or kind in (LOCKS, BUILDS, MIRRORS) or is_of_a_system(kind):
            continue
        if problem := _unreadable(place):
            yield f"{place}: cannot be read ({problem}), so it is neither counted nor removed; make it readable"
        elif kind not in _LEFTOVERS and place not in artifacts:
            yield f"{place}: holds no {CHECKSUMS}, so it is no artifact, and neither counted nor removed; move it away"


def cache_table(cache: Path) -> Table:
    """Make a table of how many artifacts of each kind a cache holds, and how large they are."""
    table = Table("kind")
    table.add_column("number", justify="right")
    table.add_column("MB", justify="right")
    kinds = kinds_in(cache)
    for kind in kinds:
        table.add_row(Text(kind.kind), str(kind.number), f"{kind.bytes / 1e6:.1f}")
    table.add_section()
    table.add_row("all", str(sum(kind.number for kind in kinds)), f"{sum(kind.bytes for kind in kinds) / 1e6:.1f}")
    return table


def prune_cache(cache: Path, *, days: float) -> int:
    """Remove artifacts and mirrors last used more than `days` ago, and what killed runs left more than one day ago.

    An artifact is used when it is written and whenever a process first loads it. What stands where a folder should be
    is set aside first.

    Returns:
        Bytes freed.
    """
    now, store = time.time(), Store(cache)
    for place in store.obstructions():
        store.set_aside(place, "not a folder")
    old = [folder for _, folder in _artifacts(cache) if (folder / CHECKSUMS).stat().st_mtime < now - days * _DAY]
    old += [folder for folder in _mirrors(cache) if _last_used(folder) < now - days * _DAY]
    old += [folder for _, folder in _leftovers(cache) if _last_change(folder) < now - _DAY]
    freed = sum(_remove(folder, store) for folder in old)
    _remove_locks(cache, before=now - _DAY)
    return freed


def _artifacts(cache: Path) -> Iterator[tuple[str, Path]]:
    return ((kind, folder) for kind, _, folder in Store(cache).entries() if kind not in _LEFTOVERS)


def _leftovers(cache: Path) -> Iterator[tuple[str, Path]]:
    places = ((kind, folder) for kind in (TEMPORARY, DAMAGED) for folder in sorted((cache / kind).glob("*")))
    return ((kind, place) for kind, place in places if not (place.is_dir() and _unreadable(place)))


def _unreadable(folder: Path) -> str | None:
    """Say why what is in a folder cannot be listed or looked at; None where it can."""
    try:
        for path in folder.iterdir():
            path.lstat()
    except FileNotFoundError:  # it has gone since
        return None
    except OSError as error:
        return error.strerror
    return None


def _mirrors(cache: Path) -> list[Path]:
    """List what was fetched, a folder for each address."""
    return sorted(path for path in (cache / MIRRORS).glob("*") if path.is_dir())


def _last_used(mirror: Path) -> float:
    """When any version of a mirror was asked for, or a file was fetched for one that is not whole yet."""
    return max(path.lstat().st_mtime for path in (mirror, *mirror.iterdir()))


def _remove(place: Path, store: Store) -> int:
    """Bytes freed. What goes is moved away first, so that nobody meets half an artifact."""
    away = store.folder(TEMPORARY) / uuid.uuid4().hex
    freed = _bytes(place)
    try:
        place.rename(away)
    except FileNotFoundError:  # someone else was faster
        return 0
    if away.is_dir() and not away.is_symlink():
        shutil.rmtree(away)
    else:
        away.unlink()
    return freed


def _remove_locks(cache: Path, *, before: float) -> None:
    there = {f"{kind}-{folder.name}" for kind, folder in _artifacts(cache)}
    for lock in (cache / LOCKS).glob("*.lock"):
        if lock.stem not in there and lock.is_file() and lock.stat().st_mtime < before:
            with contextlib.suppress(Timeout), FileLock(lock, timeout=0):  # held: it is being built
                lock.unlink()


def _bytes(place: Path) -> int:
    entries = (path.lstat() for path in _all_below(place))
    sizes = {(one.st_dev, one.st_ino): one.st_size for one in entries if stat.S_ISREG(one.st_mode)}
    return sum(sizes.values())  # links to one file count once


def _last_change(place: Path) -> float:
    return max(path.lstat().st_mtime for path in _all_below(place))


def _all_below(place: Path) -> Iterator[Path]:
    """Yield a place and all that is in it."""
    yield place
    yield from place.rglob("*")
