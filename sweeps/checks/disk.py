"""Disk checks: room for what a sweep will write, and permission to write to OUT and the cache."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from fsamc.artifacts.base import Artifact
from fsamc.data.folders import is_of_a_system
from fsamc.errors import BadInput
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import variants

RESULTS = 64 << 20  # bytes of tables, report and MLflow's database


def check_space(prepared: Prepared, *, cache: Path, out: Path) -> None:
    """Raise BadInput if the disks cannot hold what the sweep will write."""
    _require(cache, sum(artifact.nbytes for artifact in missing_artifacts(prepared, cache)), "the cache")
    _require(out, RESULTS, "the results")


def missing_artifacts(prepared: Prepared, cache: Path) -> list[Artifact]:
    """List what the base and the ends of the space read and the cache lacks."""
    artifacts = {artifact.key: artifact for artifact in _artifacts(prepared)}
    return [artifact for artifact in artifacts.values() if not is_cached(artifact, cache)]


def is_cached(artifact: Artifact, cache: Path) -> bool:
    """Whether the artifact seems to be there: its checksums are not looked at, and nothing is touched."""
    return (cache / artifact.kind / artifact.key).is_dir()


def check_databases(out: Path) -> None:
    """Raise BadInput if a database of OUT is damaged: what it holds can be made again from OUT's other files."""
    made_again = {
        "mlflow.db": "all that OUT holds is delivered to a new one",
        "study.db": "the search enters what trials.jsonl says into a new one",
    }
    for name, how in made_again.items():
        path = out / name
        if os.path.lexists(path) and (problem := _damage(path)):
            raise BadInput(f"{path}: {problem}; move it away and run the same command again: {how}")


def _damage(database: Path) -> str | None:
    if not database.is_file():
        return "is not a file"
    try:
        with closing(sqlite3.connect(database, timeout=30)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:  # somebody writes to it
        return None if "locked" in str(error) else str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == "ok" else " ".join(str(found).split())


def check_out(out: Path) -> None:
    """Raise BadInput if `out` cannot hold the results, which include databases that are named by an address."""
    check_addressable(out)
    check_writable(out)


def check_addressable(out: Path) -> None:
    """Raise BadInput if the path of a database in `out` means another one in an address."""
    path = str(out.absolute())
    if "?" in path or unquote(path) != path:
        raise BadInput(
            f"{out}: `?` and `%20` are no letters in the address of a database; choose a folder without them, or "
            "rename it"
        )


def check_writable(folder: Path) -> None:
    """Raise BadInput if `folder` cannot be made or written to; leaves nothing behind."""
    try:
        there = _nearest(folder)
        if not there.is_dir():
            raise NotADirectoryError(f"{there} is a file")
        probe = there / f".{folder.name}.probe"
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written to ({error.strerror or error}); choose another folder") from error


def check_cache_readable(cache: Path) -> None:
    """Raise BadInput if a folder of the cache may not be read: what is in it would pass for missing."""
    for kind in cache.glob("*"):
        if kind.is_dir() and not is_of_a_system(kind.name):
            try:
                os.scandir(kind).close()
            except OSError as error:
                mend = "make it readable, or choose another cache"
                raise BadInput(f"{kind}: cannot be read ({error.strerror}); {mend}") from error


def _artifacts(prepared: Prepared) -> Iterator[Artifact]:
    for config in variants(prepared.plan):
        for fold in prepared.folds(config):
            yield from fold.inputs(prepared.categories, prepared.textures).artifacts


def _require(folder: Path, needed: int, what: str) -> None:
    free = shutil.disk_usage(_nearest(folder)).free
    if free < needed:
        raise BadInput(
            f"{folder}: {what} need about {needed / 1e6:.0f} MB, {free / 1e6:.0f} MB are free; "
            "make room or choose another folder"
        )


def _nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
