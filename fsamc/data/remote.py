"""Mirrors of folders in object stores: fetched into the cache once, and from then on folders like any other.

An address's files lie in `CACHE/fetched/HASH/files`, each under a hash of its name, size and time of change. What the
address held at one time is a folder of links to them, which appears when it is whole and is never changed: whoever
reads it is not disturbed by a newer one.
"""

from __future__ import annotations

import errno
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from filelock import FileLock

from fsamc.data.credentials import holds_secret
from fsamc.data.images import IMAGE_SUFFIXES
from fsamc.deadline import DEADLINE, within
from fsamc.errors import BadInput
from fsamc.store.digests import digest
from fsamc.store.durable import make_folder, sync

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, FileSystem

MIRRORS = "fetched"
_FILES = "files"
_SCHEMES = ("s3", "gs", "hdfs", "file")
_AT_ONCE = 8  # files fetched side by side
_BLOCK = 1 << 20  # bytes


@dataclass(frozen=True)
class Address:
    """A folder in an object store, as a URI without credentials: those are the environment's."""

    uri: str

    def __str__(self) -> str:
        return self.uri


Source = Path | Address


@dataclass(frozen=True)
class _Entry:
    """One file of a listing: its path in the store, its path below the address, bytes, nanoseconds since 1970."""

    remote: str
    path: str
    size: int
    changed: int | None

    @property
    def key(self) -> str:
        return digest(self.path, self.size, self.changed)


def source(text: str | Path, option: str) -> Source:
    """Read the words of an option: an address where they have a scheme, else a folder.

    Raises:
        BadInput: a scheme that is not known, or credentials in the address, which are not repeated.
    """
    scheme, separator, _ = str(text).partition("://")
    if not separator:
        return Path(text)
    if scheme not in _SCHEMES:
        schemes = ", ".join(f"{name}://" for name in _SCHEMES)
        raise BadInput(f"{option} {scheme}://...: no such kind of address; expected a folder or one of {schemes}")
    if holds_secret(str(text)):
        raise BadInput(
            f"{option}: the {scheme}:// address holds credentials, which would be kept with the results; leave them "
            "out and set them in the environment (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile)"
        )
    return Address(str(text))


def local(origin: Source, cache: Path, option: str, *, deadline: float = DEADLINE) -> Path:
    """Return the folder itself, or the mirror of an address in `cache`, brought up to date: what is new is fetched.

    Images and `groups.csv` are taken, other files are not. The names of a listing are not trusted.

    Args:
        origin: a folder or an address.
        cache: where mirrors are kept.
        option: what named it on the command line.
        deadline: seconds that the listing may take, and each MiB of a file.

    Raises:
        BadInput: it cannot be reached or read in time, holds no image, or a name in it would leave the folder.
    """
    if isinstance(origin, Path):
        return origin
    root = cache / MIRRORS / digest(origin.uri)
    with _reading(origin, root, option):
        files, entries = _listing(origin, option, deadline)
        version = root / digest([(entry.path, entry.key) for entry in entries])
        if not version.is_dir():
            make_folder(root)
            with FileLock(root / "lock"):
                if not version.is_dir():
                    _fetch(files, entries, root / _FILES, deadline)
                    _link(entries, root / _FILES, version)
                    _forget_others(entries, root / _FILES)
    os.utime(version)  # when it was last used, which pruning goes by
    return version


def mirrored(address: Address, cache: Path) -> Path | None:
    """Return the newest mirror of an address in `cache`, without asking the address; None where there is none."""
    folders = [folder for folder in (cache / MIRRORS / digest(address.uri)).glob("*") if folder.is_dir()]
    versions = [folder for folder in folders if folder.name != _FILES and folder.suffix != ".part"]
    return max(versions, key=lambda folder: folder.stat().st_mtime, default=None)


def count_files(address: Address, option: str, *, deadline: float = DEADLINE) -> int:
    """Count the files that a mirror would hold. Fetches only the listing; raises BadInput as `local` does."""
    with _reading(address, Path(), option):
        return len(_listing(address, option, deadline)[1])


def _listing(address: Address, option: str, deadline: float) -> tuple[FileSystem, list[_Entry]]:
    from pyarrow.fs import FileType

    files, base, infos = within(deadline, lambda: _ask_for_listing(address.uri), f"the listing of {address}")
    top = f"{base.rstrip('/')}/"
    entries = [
        _Entry(info.path, _path_below(info.path, top, address, option), info.size, info.mtime_ns)
        for info in infos
        if info.type == FileType.File and _is_read(info.path)
    ]
    if not entries:
        raise BadInput(f"{option} {address}: holds no images; expected a folder as --data and --textures have it")
    names = {entry.path for entry in entries}
    for path in names:
        if twice := names & {str(parent) for parent in PurePosixPath(path).parents}:
            raise BadInput(f"{option} {address}: {min(twice)} is a file and a folder; rename one of them")
    return files, sorted(entries, key=lambda entry: entry.path)


def _ask_for_listing(uri: str) -> tuple[FileSystem, str, list[FileInfo]]:
    from pyarrow.fs import FileSelector, FileSystem

    files, base = FileSystem.from_uri(_with_short_retries(uri))
    return files, base, files.get_file_info(FileSelector(base, recursive=True))


def _with_short_retries(uri: str) -> str:
    """Shorten the quarter of an hour for which a Google store that does not answer is asked by default."""
    if not uri.startswith("gs://") or "retry_limit_seconds" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds=30"


def _is_read(path: str) -> bool:
    name = path.rpartition("/")[2]
    return PurePosixPath(name.lower()).suffix in IMAGE_SUFFIXES or name.lower() == "groups.csv"


def _path_below(path: str, top: str, address: Address, option: str) -> str:
    """Return the path below the address. Raises BadInput for one that would be written elsewhere than in the mirror."""
    below = path.removeprefix(top)
    if not path.startswith(top) or "\0" in path or {"", ".", ".."} & set(below.split("/")):
        raise BadInput(f"{option} {address}: {below!r} is a name that leaves the folder; remove it there")
    return below


def _fetch(files: FileSystem, entries: Iterable[_Entry], pool: Path, deadline: float) -> None:
    """Fetch every file that the pool lacks. One that was fetched stays, whatever becomes of the others."""
    make_folder(pool)
    for torn in pool.glob("*.part"):  # the lock is held: nobody is writing it
        torn.unlink()
    missing = [entry for entry in entries if not (pool / entry.key).exists()]
    executor = ThreadPoolExecutor(max_workers=_AT_ONCE)
    try:
        for _ in executor.map(lambda entry: _fetch_one(files, entry, pool, deadline), missing):
            pass
    finally:
        executor.shutdown(cancel_futures=True)
    sync(pool)


def _fetch_one(files: FileSystem, entry: _Entry, pool: Path, deadline: float) -> None:
    part = pool / f"{entry.key}-{uuid.uuid4().hex[:8]}.part"
    stream = within(deadline, partial(files.open_input_stream, entry.remote), entry.path)
    with part.open("wb") as file:
        while block := within(deadline, partial(stream.read, _BLOCK), entry.path):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    stream.close()  # one that is late is left alone: a thread still reads it
    if part.stat().st_size != entry.size:
        raise OSError(f"{entry.path} has {part.stat().st_size} bytes, its listing says {entry.size}")
    part.rename(pool / entry.key)


def _link(entries: Iterable[_Entry], pool: Path, version: Path) -> None:
    beside = version.with_name(f"{version.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        for entry in entries:
            target = beside / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(pool / entry.key)
            except OSError:  # a file system without links
                shutil.copyfile(pool / entry.key, target)
        for folder in {beside, *(path for path in beside.rglob("*") if path.is_dir())}:
            sync(folder)
        beside.rename(version)
        sync(version.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _forget_others(entries: Iterable[_Entry], pool: Path) -> None:
    """Older mirrors keep their own links to what is no longer there."""
    keys = {entry.key for entry in entries}
    for path in pool.iterdir():
        if path.name not in keys:
            path.unlink()


@contextmanager
def _reading(address: Address, root: Path, option: str) -> Iterator[None]:
    """Turn a store's errors into one line of BadInput; a full disk of this machine stays an OSError."""
    import pyarrow

    try:
        yield
    except BadInput:
        raise
    except (OSError, pyarrow.ArrowException) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise OSError(error.errno, error.strerror, str(root)) from error
        reason = " ".join(str(error).split())[:300]
        raise BadInput(
            f"{option} {address}: cannot be read ({reason}); correct it, or set the credentials in the environment"
        ) from error
