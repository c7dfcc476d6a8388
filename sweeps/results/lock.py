"""Lock of an OUT folder, to which one driver at a time writes: the operating system's, and gone with its holder."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from fsamc.errors import BadInput
from fsamc.store.durable import make_folder, write_whole
from sweeps.results.identity import IDENTITY

LOCK, HOLDER = f"{IDENTITY}.lock", f"{IDENTITY}.holder"


@contextmanager
def lock(out: Path) -> Iterator[None]:
    """Hold OUT while a sweep writes to it. Raises BadInput where another one does, and says which."""
    make_folder(out)
    file_lock = FileLock(out / LOCK)
    try:
        file_lock.acquire(timeout=0)
    except Timeout:
        holder = out / HOLDER
        who = holder.read_text(encoding="utf-8", errors="replace") if holder.exists() else "another process"
        raise BadInput(
            f"{out}: a sweep is writing to it ({who}); wait for it, stop it, or take another --out"
        ) from None
    except OSError as error:
        raise BadInput(f"{out / LOCK}: {error.strerror or error}; remove it, or take another --out") from error
    try:
        write_whole(out / HOLDER, f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        (out / HOLDER).unlink(missing_ok=True)
        file_lock.release()
