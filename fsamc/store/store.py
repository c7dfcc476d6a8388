"""Content-addressed store of arrays and texts: the disk is authoritative, caches may be lost.

An artifact lies in `ROOT/KIND/KEY/`, where KEY is a hash of everything it depends on. It is written to a
temporary folder and renamed, so it is there whole or not at all; `checksums.json` is verified on load, and what
fails is set aside and built again. Files are .npy and JSON: nothing is ever unpickled.
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
from typing import Any, ClassVar, Protocol

import numpy as np
import xxhash
from filelock import FileLock
from numpy.lib.format import open_memmap

log = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
CHECKSUMS = "checksums.json"


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


def digest(*parts: object) -> str:
    """Hash (32 hex digits) of JSON-able parts: equal content, equal key, in any process."""
    return xxhash.xxh3_128_hexdigest(json.dumps(parts, sort_keys=True, ensure_ascii=True).encode())


def file_digest(path: Path) -> str:
    """Hash (32 hex digits) of a file's bytes."""
    hasher = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()


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
        """The artifact's arrays, memory-mapped and read-only; built first if they are not there."""
        folder = self.find(artifact.kind, artifact.key) or self._build(artifact)
        return {path.stem: open_memmap(path, mode="r") for path in sorted(folder.glob("*.npy"))}

    def has(self, artifact: Buildable) -> bool:
        """Whether `get` would find the artifact whole."""
        return self.find(artifact.kind, artifact.key) is not None

    def get_text(self, kind: str, key: str) -> str | None:
        """What `put_text` kept, or None."""
        folder = self.find(kind, key)
        return (folder / "content.json").read_text() if folder else None

    def put_text(self, kind: str, key: str, text: str) -> None:
        """Keep a JSON text under (kind, key), unless there is one."""
        if self.find(kind, key) is None:
            with self._temporary() as into:
                (into / "content.json").write_text(text)
                self._commit(into, kind, key)

    def find(self, kind: str, key: str) -> Path | None:
        """The folder of a whole and verified artifact. A damaged one is set aside, and said so."""
        folder = self.root / kind / key
        if folder in self._verified and folder.is_dir():
            return folder
        if not folder.is_dir():
            return None
        if damage := _damage(folder):
            log.warning("set aside a damaged artifact: %s %s (%s); it is built again", kind, key, damage)
            self._set_aside(folder)
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
        """Every build recorded under this store's `run`, oldest first."""
        return [Build(**json.loads(path.read_text())) for path in sorted(self._records.glob("*.json"))]

    def entries(self) -> Iterator[tuple[str, str, Path]]:
        """(kind, key, folder) of everything kept: not of what is being written or was set aside."""
        for sums in sorted(self.root.glob(f"*/*/{CHECKSUMS}")):
            kind, key = sums.parts[-3:-1]
            if kind not in ("tmp", "damaged"):
                yield kind, key, sums.parent

    @property
    def _records(self) -> Path:
        return self.root / "builds" / self.run

    def _build(self, artifact: Buildable) -> Path:
        locks = self.root / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        with FileLock(locks / f"{artifact.kind}-{artifact.key}.lock"):
            if folder := self.find(artifact.kind, artifact.key):
                return folder
            started = time.perf_counter()
            with self._temporary() as into:
                artifact.build(self, into)
                folder = self._commit(into, artifact.kind, artifact.key)
            self._record(Build(artifact.kind, artifact.key, artifact.about, time.perf_counter() - started))
            return folder

    @contextmanager
    def _temporary(self) -> Iterator[Path]:
        into = self.root / "tmp" / uuid.uuid4().hex
        into.mkdir(parents=True)
        try:
            yield into
        finally:
            shutil.rmtree(into, ignore_errors=True)

    def _commit(self, into: Path, kind: str, key: str) -> Path:
        """Seal the folder and rename it; where another process was first, its folder stays."""
        sums = {path.name: file_digest(path) for path in sorted(into.iterdir())}
        (into / CHECKSUMS).write_text(json.dumps(sums))
        for path in into.iterdir():
            _flush(path)
        folder = self.root / kind / key
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            into.rename(folder)
        except OSError:
            if not folder.is_dir():
                raise
        else:
            self._verified.add(folder)
        return folder

    def _record(self, build: Build) -> None:
        self._records.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex}"
        written = self._records / f"{name}.tmp"
        written.write_text(json.dumps(asdict(build)))
        written.rename(self._records / f"{name}.json")

    def _set_aside(self, folder: Path) -> None:
        away = self.root / "damaged" / f"{folder.parent.name}-{folder.name}-{uuid.uuid4().hex[:8]}"
        away.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(away)
        except FileNotFoundError:
            log.debug("another process has set %s aside", folder)


def _damage(folder: Path) -> str | None:
    """What is wrong with an artifact's folder, or None."""
    try:
        sums: Any = json.loads((folder / CHECKSUMS).read_text())
        if not isinstance(sums, dict) or {path.name for path in folder.iterdir()} != {*sums, CHECKSUMS}:
            return f"{CHECKSUMS} does not list the files that are there"
        for name, expected in sums.items():
            if file_digest(folder / name) != expected:
                return f"{name} is not as it was written"
            if name.endswith(".npy"):
                open_memmap(folder / name, mode="r")  # ValueError for pickled objects and for what is no array
    except (OSError, ValueError, RecursionError) as error:
        return str(error)
    return None


def _flush(path: Path) -> None:
    """Make sure a file survives a power cut before its folder gets its final name."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
