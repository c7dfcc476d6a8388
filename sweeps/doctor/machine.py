"""Checks of this machine: shared memory, disks, open files."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from sweeps.doctor.check import Check, ok, problem, refused, warning

_SHARE = 0.3  # of memory: what Ray takes for its object store
_LITTLE = 200 << 20  # bytes: Docker gives 64 MiB
_ENOUGH_FILES = {True: 65536, False: 1024}  # on a cluster, and alone
_LEAST, _ROOM = 100 << 20, 5 << 30  # bytes on a disk: below the first nothing can be done
_NETWORK = ("nfs", "cifs", "smb", "fuse.", "lustre", "gpfs", "beegfs", "ceph", "9p", "glusterfs", "afs")


def check_shared_memory(total: int, memory: int, *, where: str = "/dev/shm") -> Check:
    """Whether the object store finds room; both in bytes."""
    finding = f"{total / 1e9:.1f} GB, of {memory / 1e9:.1f} GB of memory"
    mend = (
        f"give it {_SHARE:.0%} of memory: docker run --shm-size={max(1, int(_SHARE * memory / 1e9))}g; "
        "on Kubernetes an emptyDir of medium Memory at /dev/shm"
    )
    if total < min(_LITTLE, _SHARE * memory):
        return problem(where, f"{finding}: arrays that folds share go through the disk", mend)
    if total < _SHARE * memory * 0.95:
        return warning(where, f"{finding}, less than {_SHARE:.0%}", mend)
    return ok(where, finding)


def check_open_files(limit: int, *, cluster: bool, where: str = "open files") -> Check:
    """Whether a process may have enough files and connections open."""
    enough = _ENOUGH_FILES[cluster]
    if limit < enough:
        mend = f"ulimit -n {enough} before Ray starts, or a higher limit in /etc/security/limits.conf"
        return warning(where, f"{limit} at most{', few for a cluster' if cluster else ''}", mend)
    return ok(where, f"{limit} at most")


def check_disk(what: str, folder: Path) -> Iterator[Check]:
    """Whether there is room, and whether it can be written to."""
    from sweeps.checks.disk import check_writable

    (written,) = refused(what, str(folder), lambda: check_writable(folder))
    if written.level != "ok":
        yield written
        return
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free
    finding = f"{folder}: {free / 1e9:.1f} GB free"
    mend = "make room, or choose a folder on another disk; `fsamc cache prune` frees what was not used for long"
    if free < _LEAST:
        yield problem(what, finding, mend)
    elif free < _ROOM:
        yield warning(what, finding, mend)
    else:
        yield ok(what, finding)


def check_cache_owner(cache: Path) -> Iterator[Check]:
    """Whether others may put artifacts into the cache, which are believed: nothing is run, but numbers would change."""
    if cache.is_dir() and cache.stat().st_mode & 0o002:
        yield warning("cache", f"{cache} can be written to by every user of this machine", f"chmod o-w {cache}")


def network_disk(path: Path) -> str | None:
    """Return the kind of network file system that a path lies on; None if it lies on none."""
    mounts = [(Path(each.mountpoint), each.fstype) for each in psutil.disk_partitions(all=True)]
    return network_kind(path.absolute(), mounts)


def network_kind(path: Path, mounts: list[tuple[Path, str]]) -> str | None:
    """Return the kind of network file system among `mounts` that a path lies on."""
    over = [(len(place.parts), kind) for place, kind in mounts if path.is_relative_to(place)]
    _, kind = max(over, default=(0, ""))
    return kind if kind.startswith(_NETWORK) else None


def examine_machine(cache: Path, out: Path | None, *, cluster: bool) -> Iterator[Check]:
    """All of the above, here."""
    if Path("/dev/shm").is_dir():
        yield check_shared_memory(shutil.disk_usage("/dev/shm").total, psutil.virtual_memory().total)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0], cluster=cluster)
    yield from check_disk("cache", cache)
    yield from check_cache_owner(cache)
    if out is not None:
        yield from check_disk("out", out)
