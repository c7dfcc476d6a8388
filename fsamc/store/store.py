"""Content-addressed store of arrays and texts: the disk is authoritative, caches may be lost.

An artifact lies in `ROOT/KIND/KEY/`, where KEY is a hash of everything it depends on. It is written to a temporary
folder, flushed and renamed, so it is there whole or not at all; `checksums.json` is verified on load, and what fails is
set aside and built again, as is whatever else has the name of a folder of the store. Files are .npy and JSON: nothing
is ever unpickled.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
from filelock import FileLock
from numpy.lib.format import open_memmap

from fsamc.store.damage import CHECKSUMS, damage_of
from fsamc.store.digests import file_digest
from fsamc.store.durable import make_folder, sync, write_whole

log = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
LOCKS, BUILDS, TEMPORARY, DAMAGED = "locks", "builds", "tmp", "damaged"


class Buildable(Protocol):
    """What the store keeps and can build: computed once. Picklable, so that another process can build it."""

    kind: ClassVar[str]

    @property
    def key(self) -> str:
        """Hash of everything the content depends on."""
        ...

    @property
    def about(self) -> str:
        """What it is, for people: "magnetic_tile, seed 1"."""
        ...

    def build(self, store: Store, into: Path, /) -> None:
        """Write the content as .npy files into the empty folder `into`."""
        ...


@dataclass(frozen=True)
class Build:
    """One artifact was computed: what, when, how long it took."""

    kind: str
    key: str
    about: str
    seconds: float


class Store:
    """Artifacts under one folder, safe with many processes on one file system.

    Args:
        root: the folder; made when first written to.
        run: name under which builds are recorded, so that a sweep can count its own.
    """

    def __init__(self, root: Path, *, run: str = "local") -> None:
        self.root = root
        self.run = run
        self._verified: set[Path] = set()

    def get(self, artifact: Buildable) -> Arrays:
        """Return the artifact's arrays, memory-mapped and read-only; built first if they are not there."""
        folder = self.find(artifact.kind, artifact.key) or self._build(artifact)
        return {path.stem: open_memmap(path, mode="r") for path in sorted(folder.glob("*.npy"))}

    def has(self, artifact: Buildable) -> bool:
        """Whether `get` would find the artifact whole."""
        return self.find(artifact.kind, artifact.key) is not None

    def get_text(self, kind: str, key: str) -> str | None:
        """Return what `put_text` kept, or None."""
        folder = self.find(kind, key)
        return (folder / "content.json").read_text() if folder else None

    def put_text(self, kind: str, key: str, text: str) -> None:
        """Keep a JSON text under (kind, key), unless there is one."""
        if self.find(kind, key) is None:
            with self._temporary() as into:
                (into / "content.json").write_text(text)
                self._commit(into, kind, key)

    def find(self, kind: str, key: str) -> Path | None:
        """Return the folder of a whole and verified artifact. A damaged one is set aside, and said so."""
        folder = self.root / kind / key
        if folder in self._verified and folder.is_dir():
            return folder
        if not os.path.lexists(folder):
            return None
        if damage := damage_of(folder):
            self.set_aside(folder, damage)
            return None
        with suppress(OSError):  # a cache that may only be read
            os.utime(folder / CHECKSUMS)  # when it was last used, which pruning goes by
        self._verified.add(folder)
        return folder

    def trust(self, artifact: Buildable) -> None:
        """Take an artifact that is there as verified, since another process of the same run has verified it."""
        folder = self.root / artifact.kind / artifact.key
        if folder.is_dir():
            self._verified.add(folder)

    def builds(self) -> list[Build]:
        """Return every build recorded under this store's `run`, oldest first; without records that cannot be read."""
        records = (_read_record(path) for path in sorted(self._records.glob("*.json")))
        return [record for record in records if record is not None]

    def entries(self) -> Iterator[tuple[str, str, Path]]:
        """Yield (kind, key, folder) of everything kept: not of what is being written or was set aside."""
        for sums in sorted(self.root.glob(f"*/*/{CHECKSUMS}")):
            kind, key = sums.parts[-3:-1]
            if kind not in (TEMPORARY, DAMAGED):
                yield kind, key, sums.parent

    def obstructions(self) -> list[Path]:
        """List what is not a folder where an artifact or a folder of the store should be."""
        own = [self.root / name for name in (LOCKS, BUILDS, TEMPORARY, DAMAGED)]
        kinds = [kind for kind in self.root.glob("*") if kind.is_dir() and kind not in own]
        places = [*own, *(place for kind in kinds for place in kind.glob("[!.]*"))]
        return sorted(place for place in places if os.path.lexists(place) and not place.is_dir())

    def folder(self, *names: str) -> Path:
        """Make a folder below the root; what has its name and is none is set aside."""
        place = self.root
        make_folder(place)
        for name in names:
            place = place / name
            if os.path.lexists(place) and not place.is_dir():
                self.set_aside(place, "not a folder")
            make_folder(place)
        return place

    def set_aside(self, place: Path, why: str) -> None:
        """Move what is not what its place is for to `damaged`, and say so."""
        names = place.relative_to(self.root).parts
        log.warning("set aside a damaged artifact: %s (%s); it is built again", " ".join(names), why)
        away = f"{'-'.join(names)}-{uuid.uuid4().hex[:8]}"
        try:
            if place == self.root / DAMAGED:
                place.rename(self.root / away)
                place = self.root / away
            place.rename(self.folder(DAMAGED) / away)
        except FileNotFoundError:
            log.debug("another process has set %s aside", place)

    @property
    def _records(self) -> Path:
        return self.root / BUILDS / self.run

    def _build(self, artifact: Buildable) -> Path:
        with FileLock(self._lock(artifact)):
            if folder := self.find(artifact.kind, artifact.key):
                return folder
            started = time.perf_counter()
            with self._temporary() as into:
                artifact.build(self, into)
                folder = self._commit(into, artifact.kind, artifact.key)
            self._record(Build(artifact.kind, artifact.key, artifact.about, time.perf_counter() - started))
            return folder

    def _lock(self, artifact: Buildable) -> Path:
        lock = self.folder(LOCKS) / f"{artifact.kind}-{artifact.key}.lock"
        if os.path.lexists(lock) and (lock.is_symlink() or not lock.is_file()):
            self.set_aside(lock, "not a file")
        return lock

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        into = self.folder(TEMPORARY) / uuid.uuid4().hex
        into.mkdir()
        try:
            yield into
        finally:
            shutil.rmtree(into, ignore_errors=True)

    def _commit(self, into: Path, kind: str, key: str) -> Path:
        """Seal the folder and rename it; where another process was first, its folder stays."""
        sums = {path.name: file_digest(path) for path in sorted(into.iterdir())}
        (into / CHECKSUMS).write_text(json.dumps(sums))
        for path in (*into.iterdir(), into):
            sync(path)
        folder = self.folder(kind) / key
        try:
            into.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        else:
            self._verified.add(folder)
        sync(folder.parent)
        return folder

    def _record(self, build: Build) -> None:
        record = self.folder(BUILDS, self.run) / f"{time.time_ns():020d}-{uuid.uuid4().hex}.json"
        write_whole(record, json.dumps(asdict(build)))


def _read_record(path: Path) -> Build | None:
    try:
        return Build(**json.loads(path.read_text())) if path.is_file() else None
    except (ValueError, TypeError, RecursionError) as error:
        log.warning("%s: %s; this build is not counted", path, error)
        return None
