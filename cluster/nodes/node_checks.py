"""Checks of what a node sees: files as the driver has them, and folders that are the driver's own. Loads no Ray."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fsamc.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Files:
    """Files that are read wherever a fold runs.

    Attributes:
        option: what named them on the command line, such as `--data`.
        folder: where they lie.
        sizes: bytes of each, by its path relative to `folder`.
    """

    option: str
    folder: Path
    sizes: dict[str, int]

    @classmethod
    def here(cls, option: str, folder: Path, paths: Sequence[str]) -> Files:
        """Return the files as this machine has them. Raises BadInput for one that is gone by now."""
        try:
            sizes = {path: (folder / path).stat().st_size for path in paths}
        except OSError as error:
            raise BadInput(f"{error.filename}: cannot be opened ({error.strerror}); make it readable") from error
        return cls(option=option, folder=folder.absolute(), sizes=sizes)

    def trouble(self) -> str | None:
        """Say in a few words what is wrong with them from here; None if nothing is."""
        if not self.folder.is_dir():
            return "is not there"
        sizes = {path: _size(self.folder / path) for path in self.sizes}
        kinds = {
            "missing or cannot be read": [path for path, size in sizes.items() if size is None],
            "of another size": [path for path, size in sizes.items() if size not in (None, self.sizes[path])],
        }
        for kind, paths in kinds.items():
            if paths:
                return f"{len(paths)} of {len(sizes)} files are {kind}, the first {paths[0]}"
        return None


@dataclass(frozen=True, kw_only=True)
class Cached:
    """A file of weights as torch keeps it, in the cache of each node's own user.

    Attributes:
        name: of the file.
        option: what else would do.
    """

    name: str
    option: str = "torch's cache"

    @property
    def folder(self) -> Path:
        """Where torch looks for it here, said without loading torch."""
        cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
        home = os.environ.get("TORCH_HOME", f"{cache}/torch")
        return Path(os.path.expandvars(home)).expanduser() / "hub" / "checkpoints"

    def trouble(self) -> str | None:
        """Say in a few words that it is not there; None if it is."""
        return None if (self.folder / self.name).is_file() else f"holds no {self.name}, so that each process fetches it"


@dataclass(frozen=True, kw_only=True)
class Shared:
    """A folder that all nodes write to, and a file in it, or above it where it is yet to be made, that tells it."""

    option: str
    folder: Path
    probe: Path
    content: str

    def trouble(self) -> str | None:
        """Say in a few words why it is not the driver's folder or cannot be written to; None if all is well."""
        try:
            if self.probe.read_text() != self.content:
                return "is another folder than the driver's"
        except OSError:
            return "is another folder than the driver's" if self.probe.parent.is_dir() else "is not there"
        own = self.probe.with_name(f"{self.probe.name}-{uuid.uuid4().hex[:8]}")
        try:
            own.write_text(self.content)
            own.unlink()
        except OSError as error:
            return f"cannot be written to ({error.strerror})"
        return None


NodeCheck = Files | Cached | Shared


@contextmanager
def shared_folder(option: str, folder: Path) -> Iterator[Shared]:
    """Put a probe into `folder` for as long as the context lasts.

    Raises BadInput if this machine cannot write there.
    """
    folder = folder.absolute()
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    probe, content = there / f".fsamc-probe-{uuid.uuid4().hex}", uuid.uuid4().hex
    try:
        probe.write_text(content)
    except OSError as error:
        raise BadInput(f"{folder}: cannot be written to ({error.strerror}); choose another folder") from error
    try:
        yield Shared(option=option, folder=folder, probe=probe, content=content)
    finally:
        probe.unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size if os.access(path, os.R_OK) else None
    except OSError:
        return None
