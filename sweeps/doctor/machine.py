"""Checks of this machine: shared memory, disks, open files."""

from __future__ import annotations

import resource
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from sweeps.checks.disk import check_writable
from sweeps.doctor.check import Check, graded, refused

_SHARE = 0.3  # of memory: what Ray takes for its object store
_LITTLE = 200 << 20  # bytes: Docker gives 64 MiB
_ENOUGH_FILES = {True: 65536, False: 1024}  # on a cluster, and alone
_LEAST, _ROOM = 100 << 20, 5 << 30  # bytes on a disk: below the first nothing can be done
_NETWORK = ("nfs", "cifs", "smb", "fuse.", "lustre", "gpfs", "beegfs", "ceph", "9p", "glusterfs", "afs")


def examine_machine(cache: Path, out: Path | None, *, cluster: bool) -> Iterator[Check]:
    """Make all of these checks here."""
    if Path("/dev/shm").is_dir():
        yield check_shared_memory(shutil.disk_usage("/dev/shm").total, psutil.virtual_memory().total)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], cluster=cluster)
    yield check_disk("cache", cache)
    if cache.is_dir() and cache.stat().st_mode & 0o002:  # artifacts are believed: not run, but numbers would change
        yield Check(
            "cache",
            "warning",
            f"{cache} can be written to by every user of this machine",
            f"chmod o-w {shlex.quote(str(cache))}",
        )
    if out is not None:
        yield check_disk("out", out)


def check_shared_memory(total: int, memory: int, *, where: str = "/dev/shm") -> Check:
    """Whether the object store finds room; both in bytes. Else arrays that folds share go through the disk."""
    mend = (
        f"give it {_SHARE:.0%} of memory: docker run --shm-size={max(1, int(_SHARE * memory / 1e9))}g; "
        "on Kubernetes an emptyDir of medium Memory at /dev/shm"
    )
    problem, warning = total < min(_LITTLE, _SHARE * memory), total < _SHARE * memory * 0.95
    return graded(
        where, f"{total / 1e9:.1f} GB, of {memory / 1e9:.1f} GB of memory", mend, problem=problem, warning=warning
    )


def check_open_files(limit: int, *, cluster: bool, where: str = "open files") -> Check:
    """Whether a process may have enough files and connections open."""
    enough = _ENOUGH_FILES[cluster]
    mend = f"ulimit -n {enough} before Ray starts, or a higher limit in /etc/security/limits.conf"
    return graded(where, f"{limit} at most", mend, warning=limit < enough)


def check_disk(what: str, folder: Path) -> Check:
    """Whether there is room, and whether it can be written to."""
    (written,) = refused(what, str(folder), lambda: check_writable(folder))
    if written.level != "ok":
        return written
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    mend = "make room, or choose a folder on another disk; `fsamc cache prune` frees what was not used for long"
    return graded(what, f"{folder}: {free / 1e9:.1f} GB free", mend, problem=free < _LEAST, warning=free < _ROOM)


def network_disk(path: Path, mounts: Sequence[tuple[str, str]] | None = None) -> str | None:
    """Return the kind of network file system that a path lies on, among the places and kinds of `mounts`; else None.

    By default the mounts are those of this machine.
    """
    if mounts is None:
        mounts = [(each.mountpoint, each.fstype) for each in psutil.disk_partitions(all=True)]
    over = [(len(Path(place).parts), kind) for place, kind in mounts if path.absolute().is_relative_to(place)]
    _, kind = max(over, default=(0, ""))
    return kind if kind.startswith(_NETWORK) else None
