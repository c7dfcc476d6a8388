"""Package of a job: a folder under the hash of its content, which holds what is named and nothing else.

Data, results, `.git` or a virtual environment cannot slip in: what is not named is not looked at.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import xxhash

from cluster import PACKAGES
from cluster.ray_private import largest_package
from fsamc.errors import BadInput
from fsamc.store.digests import digest, file_digest

_PARTS = (".py", ".typed", ".yaml", ".toml", ".j2", ".css", ".js", ".csv")  # of the packages, as in pyproject.toml
_APART = "manifests"  # beside the code, for people
_KEPT = 30 * 24 * 3600  # seconds
_ENTRY = 30 + 46  # bytes that a file's two headers take in a zip besides its name


@dataclass(frozen=True)
class Package:
    """The files of a job's working directory.

    Attributes:
        files: by their names there, each a file of this machine or its content.
    """

    files: Mapping[str, Path | bytes]

    @property
    def size(self) -> int:
        """Bytes of the zip that Ray uploads: it does not compress."""
        names = sum(2 * len(name.encode()) for name in self.files)
        return 22 + len(self.files) * _ENTRY + names + sum(map(_size, self.files.values()))

    def check(self) -> None:
        """Raise BadInput if Ray would not take it."""
        if self.size < (most := largest_package()):
            return
        name, content = max(self.files.items(), key=lambda item: _size(item[1]))
        file = content if isinstance(content, Path) else name
        raise BadInput(
            f"{file}: the largest file ({_mib(_size(content))}) of a package of {_mib(self.size)}, and Ray takes less "
            f"than {_mib(most)}; put it where all nodes of the cluster see it, and give its absolute path there"
        )

    def stage(self, folder: Path) -> Path:
        """Write the files below `folder`, and return the folder that holds them. One with this content is kept.

        Others go that nobody has sent anything from for a month.
        """
        hashes = {name: _hash(content) for name, content in self.files.items()}
        place = folder / digest(hashes)[:32]
        if place.is_dir() and _held(place) == hashes:
            os.utime(place)
            return place
        folder.mkdir(parents=True, exist_ok=True)
        _prune(folder)
        beside = Path(tempfile.mkdtemp(prefix=".part-", dir=folder))
        for name, content in self.files.items():
            file = beside / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copyfile(content, file)
            else:
                file.write_bytes(content)
        shutil.rmtree(place, ignore_errors=True)  # somebody has changed what lies there
        with suppress(OSError):  # another submit has been faster
            beside.rename(place)
        shutil.rmtree(beside, ignore_errors=True)
        return place


def _prune(folder: Path) -> None:
    for old in folder.iterdir():
        with suppress(OSError):  # another submit has been faster
            if old.stat().st_mtime < time.time() - _KEPT:
                shutil.rmtree(old, ignore_errors=True)


def code() -> dict[str, Path]:
    """Return the files of the three packages as they are here, by their names in a job's working directory."""
    packed: dict[str, Path] = {}
    for package in PACKAGES:
        spec = find_spec(package)
        assert spec is not None
        assert spec.origin is not None
        root = Path(spec.origin).parent
        files = (file for file in root.rglob("*") if file.suffix in _PARTS or file.name == "py.typed")
        named = {file.relative_to(root): file for file in sorted(files) if file.is_file()}
        packed |= {f"{package}/{name.as_posix()}": file for name, file in named.items() if name.parts[0] != _APART}
    return packed


def file_here(path: str) -> tuple[str, Path]:
    """Return a file's name in a job's working directory, and the file here that a relative path names.

    Raises BadInput if it is not there, or outside of the current folder, be it by `..` or through a link.
    """
    here = Path.cwd()
    file = Path(os.path.abspath(path))  # noqa: PTH100 - `resolve` would follow links, and a name may be one
    if not file.is_file():
        raise BadInput(f"{path}: no such file in {here}; give a file here, or an absolute path on the cluster")
    if not file.resolve().is_relative_to(here) or not file.is_relative_to(here):
        raise BadInput(
            f"{path}: leads out of {here} to {file.resolve()}; submit from a folder that holds it, or give an absolute"
            " path on the cluster"
        )
    return f"files/{file.relative_to(here).as_posix()}", file


def _size(content: Path | bytes) -> int:
    return content.stat().st_size if isinstance(content, Path) else len(content)


def _hash(content: Path | bytes) -> str:
    return file_digest(content) if isinstance(content, Path) else xxhash.xxh3_128_hexdigest(content)


def _held(place: Path) -> dict[str, str]:
    """Return the hashes of the files below a folder, by their names."""
    return {file.relative_to(place).as_posix(): file_digest(file) for file in place.rglob("*") if file.is_file()}


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
