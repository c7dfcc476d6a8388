from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.lib import format as npy

from fsamc.store.damage import CHECKSUMS
from fsamc.store.digests import digest, file_digest
from fsamc.store.store import Store

# The same artifact in other processes. Its build says so, writes half, waits for a line on its input, writes the rest.
SLOW = """
import sys
from pathlib import Path
import numpy as np
from fsamc.store.store import Store

class Slow:
    kind, key, about = "numbers", "slow", "a test"
    def build(self, store, into):
        np.save(into / "first.npy", np.arange(3))
        print("building", flush=True)
        sys.stdin.readline()
        np.save(into / "second.npy", np.arange(4))

print("asking", flush=True)
arrays = Store(Path(sys.argv[1]), run="test").get(Slow())
print({name: array.tolist() for name, array in arrays.items()}, flush=True)
"""


@dataclass(frozen=True)
class Numbers:
    """Counts to `n`; with `broken` its build raises half-way."""

    kind: ClassVar[str] = "numbers"
    n: int = 5
    broken: bool = False
    needed: tuple[Numbers, ...] = ()

    @property
    def key(self) -> str:
        return digest(self.kind, self.n)

    @property
    def about(self) -> str:
        return f"up to {self.n}"

    def build(self, store: Store, into: Path) -> None:
        for need in self.needed:
            store.get(need)
        np.save(into / "values.npy", np.arange(self.n))
        if self.broken:
            raise RuntimeError("the power went")
        np.save(into / "squares.npy", np.arange(self.n) ** 2)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "cache", run="test")


def again(store: Store) -> Store:
    """The same folder as another process would see it: nothing is taken as verified."""
    return Store(store.root, run=store.run)


def folder_of(store: Store, artifact: Numbers) -> Path:
    return store.root / artifact.kind / artifact.key


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@contextmanager
def started(root: Path) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """A process that asks for the slow artifact, and how to read its next line."""
    command = [sys.executable, "-c", SLOW, str(root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, lambda: process.stdout.readline().strip()
        finally:
            process.kill()


def test_what_was_built_is_found_and_built_no_second_time(store):
    assert not store.has(Numbers())
    arrays = store.get(Numbers())
    assert {name: array.tolist() for name, array in arrays.items()} == {
        "squares": [0, 1, 4, 9, 16],
        "values": [0, 1, 2, 3, 4],
    }
    for other in (store, again(store)):
        assert other.has(Numbers())
        assert other.get(replace(Numbers(), broken=True))["values"].tolist() == [0, 1, 2, 3, 4]
    assert [build.key for build in store.builds()] == [Numbers().key]


def test_asking_builds_nothing_and_writes_nothing(store):
    assert not store.has(Numbers())
    assert store.get_text("fold", "key") is None
    assert store.builds() == []
    assert not store.root.exists()


def test_arrays_are_read_only_and_memory_mapped(store):
    for source in (store, again(store)):
        for array in source.get(Numbers()).values():
            assert isinstance(array, np.memmap)
            assert not array.flags.writeable
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 9


def test_builds_are_recorded_per_run_with_what_they_were(store):
    store.get(Numbers(2))
    again(store).get(Numbers(3, needed=(Numbers(4),)))
    Store(store.root, run="other").get(Numbers(5))
    found = [(build.kind, build.about) for build in store.builds()]
    assert found == [("numbers", "up to 2"), ("numbers", "up to 4"), ("numbers", "up to 3")]
    assert all(build.seconds > 0 for build in store.builds())
    assert [build.about for build in Store(store.root, run="other").builds()] == ["up to 5"]


def test_digest_is_a_function_of_content_alone():
    assert digest({"a": 1, "b": [2, "c"]}) == digest({"b": (2, "c"), "a": 1})
    assert digest("a", "b") != digest("ab") != digest(["a", "b"])
    assert digest(1) != digest("1") != digest(1.5)
    with pytest.raises(TypeError):
        digest(object())


def test_file_digest_reads_the_whole_file(tmp_path):
    block = bytes(1 << 20)
    digests = set()
    for place, content in enumerate((block, block + b"1", block + b"2", b"1" + block, b"")):
        (tmp_path / str(place)).write_bytes(content)
        digests.add(file_digest(tmp_path / str(place)))
    assert len(digests) == 5


def flip_a_bit(folder: Path) -> None:
    content = bytearray((folder / "values.npy").read_bytes())
    content[-8] ^= 1
    (folder / "values.npy").write_bytes(content)


def write_sums(folder: Path, change: Callable[[dict[str, str]], object]) -> None:
    sums = json.loads((folder / CHECKSUMS).read_text())
    (folder / CHECKSUMS).write_text(json.dumps(change(sums)))


def leave_the_folder(folder: Path) -> None:
    outside = folder.parent.parent / "outside.npy"
    np.save(outside, np.arange(2))
    write_sums(folder, lambda sums: {**sums, "../../outside.npy": file_digest(outside)})


def seal(folder: Path, content: bytes) -> None:
    """Write one of the artifact's files with a checksum that is right."""
    (folder / "values.npy").write_bytes(content)
    write_sums(folder, lambda sums: {**sums, "values.npy": file_digest(folder / "values.npy")})


def replace_by(make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Put something else in an artifact's place."""

    def damage(place: Path) -> None:
        shutil.rmtree(place)
        make(place)

    return damage


STRANGE: dict[str, Callable[[Path], object]] = {
    "empty file": Path.touch,
    "file": lambda place: place.write_bytes(b"x"),
    "pipe": os.mkfifo,
    "link to itself": lambda place: place.symlink_to(place),
    "link to a device": lambda place: place.symlink_to("/dev/zero"),
    "link to nothing": lambda place: place.symlink_to("nowhere"),
}


def leave_a_link(folder: Path) -> None:
    """Put a link to the artifact, whole as it is, in its place."""
    elsewhere = folder.rename(folder.parents[2] / "elsewhere")
    folder.symlink_to(elsewhere)


def claim(shape: tuple[int, ...]) -> Callable[[Path], None]:
    """Seal an array whose header claims a shape that its file has not."""

    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return lambda folder: seal(folder, header.getvalue())


def empty_it(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    (folder / CHECKSUMS).write_text("{}")


def in_place_of(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    """Put something else in the place of one of the artifact's files."""

    def damage(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return damage


DAMAGES = [
    *(pytest.param(replace_by(make), id=f"{name} for the folder") for name, make in STRANGE.items()),
    *(
        pytest.param(in_place_of(name, make), id=f"{kind} for {name}")
        for name in ("values.npy", CHECKSUMS)
        for kind, make in (("pipe", os.mkfifo), ("device", STRANGE["link to a device"]), ("folder", Path.mkdir))
    ),
    *(pytest.param(claim(shape), id=f"shape {shape}") for shape in ((2**70,), (2**40,), (2**62, 2**62), (-1,), (6,))),
    pytest.param(lambda folder: seal(folder, b"\x93NUMPY\x01\x00@\x1f" + b"(" * 8000), id="deeply nested header"),
    pytest.param(lambda folder: seal(folder, b"\x89PNG no array at all"), id="picture"),
    leave_a_link,
    empty_it,
    flip_a_bit,
    leave_the_folder,
    pytest.param(lambda folder: (folder / "values.npy").unlink(), id="file gone"),
    pytest.param(lambda folder: np.save(folder / "foreign.npy", np.arange(9)), id="foreign file"),
    pytest.param(lambda folder: (folder / CHECKSUMS).unlink(), id="no checksums"),
    pytest.param(lambda folder: os.truncate(folder / CHECKSUMS, 10), id="torn checksums"),
    *(
        pytest.param(lambda folder, text=text: (folder / CHECKSUMS).write_text(text), id=f"checksums are {text[:4]!r}")
        for text in ("[]", "null", "\0", "[" * 100_000)
    ),
    pytest.param(lambda folder: (folder / CHECKSUMS).write_bytes(b"\xff\xfe{"), id="checksums are no text"),
    pytest.param(lambda folder: write_sums(folder, lambda sums: dict.fromkeys(sums, 0)), id="checksums are numbers"),
    pytest.param(lambda folder: write_sums(folder, lambda sums: {**sums, "..": "0"}), id="checksum of the parent"),
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_is_set_aside_and_built_again(store, caplog, damage):
    expected = {name: array.tolist() for name, array in store.get(Numbers()).items()}
    damage(folder_of(store, Numbers()))
    assert {name: array.tolist() for name, array in again(store).get(Numbers()).items()} == expected
    assert "set aside a damaged artifact" in caplog.text
    assert Numbers().key in caplog.text
    assert again(store).has(Numbers())
    assert len(store.builds()) == 2
    assert len(list((store.root / "damaged").iterdir())) == 1


@pytest.mark.parametrize("name", ["locks", "tmp", "damaged", "builds", "builds/test", "numbers", "locks/LOCK"])
@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_whatever_has_the_name_of_a_folder_of_the_store_gives_way(store, caplog, name, make):
    place = store.root / name.replace("LOCK", f"numbers-{Numbers().key}.lock")
    place.parent.mkdir(parents=True)
    make(place)
    assert store.get(Numbers())["values"].tolist() == [0, 1, 2, 3, 4]
    assert again(store).has(Numbers())
    assert len(store.builds()) == 1
    store.folder("damaged")
    if name.endswith("LOCK") and place.is_file():
        return  # as a lock should be
    assert caplog.text.count("set aside") == 1
    assert [path.name.rpartition("-")[0] for path in (store.root / "damaged").iterdir()] == [
        "-".join(place.relative_to(store.root).parts)
    ]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\0" * 80, b'{"kind": 1}', b"[" * 100_000])
def test_a_record_of_a_build_that_cannot_be_read_is_not_counted(store, caplog, content):
    store.get(Numbers(2))
    store.get(Numbers(3))
    first, _ = sorted((store.root / "builds" / "test").iterdir())
    first.write_bytes(content)
    os.mkfifo(first.with_name("pipe.json"))
    assert [build.about for build in store.builds()] == ["up to 3"]
    assert first.name in caplog.text


class Trap:
    """Pickled, a command that runs when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.file,)


def test_nothing_is_ever_unpickled(store, tmp_path, caplog):
    sprung = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.exists(), "the trap works"
    sprung.unlink()
    store.get(Numbers())
    folder = folder_of(store, Numbers())
    np.save(trap := tmp_path / "trap.npy", np.array([Trap(sprung)], dtype=object), allow_pickle=True)
    seal(folder, trap.read_bytes())
    assert again(store).get(Numbers())["values"].tolist() == [0, 1, 2, 3, 4]
    assert not sprung.exists()
    assert "set aside" in caplog.text


def test_a_build_that_raises_leaves_nothing(store):
    with pytest.raises(RuntimeError, match="the power went"):
        store.get(Numbers(broken=True))
    assert not store.has(Numbers())
    assert [file for file in files_below(store.root) if not file.startswith("locks/")] == []
    assert store.builds() == []
    assert store.get(Numbers())["values"].tolist() == [0, 1, 2, 3, 4]


def test_a_build_killed_half_way_is_never_found(store):
    with started(store.root) as (process, line):
        assert (line(), line()) == ("asking", "building")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert files_below(store.root / "tmp") != [], "it was killed between two files"
    assert store.find("numbers", "slow") is None
    assert list(store.entries()) == []
    with started(store.root) as (process, _):
        finished, _ = process.communicate("\n", timeout=60)
    assert finished.splitlines()[-1] == "{'first': [0, 1, 2], 'second': [0, 1, 2, 3]}"
    assert [build.key for build in store.builds()] == ["slow"]


def test_two_processes_that_want_the_same_build_it_once(store):
    with started(store.root) as (first, line):
        assert (line(), line()) == ("asking", "building")
        with started(store.root) as (second, other_line):
            assert other_line() == "asking"
            second.stdin.write("\n")  # a build of its own would not wait
            second.stdin.flush()
            time.sleep(0.5)  # time enough to look, find nothing and meet the lock
            assert second.poll() is None, "it did not wait"
            first.stdin.write("\n")
            first.stdin.flush()
            assert line() == other_line() == "{'first': [0, 1, 2], 'second': [0, 1, 2, 3]}"
    assert [build.key for build in store.builds()] == ["slow"]


def test_text_is_kept_and_the_first_one_stays(store):
    store.put_text("fold", "key", '{"a": 1}')
    store.put_text("fold", "key", '{"a": 2}')
    for source in (store, again(store)):
        assert source.get_text("fold", "key") == '{"a": 1}'
        assert source.get_text("fold", "other") is None
    assert files_below(store.root / "tmp") == []


def test_files_and_folders_are_synced_before_and_after_a_folder_takes_its_name(store, monkeypatch):
    synced: list[int] = []
    unsynced: dict[str, set[str]] = {}
    sync = os.fsync

    def noting_sync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def noting(rename: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def noting_rename(path: Path, target: Path) -> Path:
            contents = (path, *path.iterdir()) if path.is_dir() else (path,)
            unsynced[target.parent.name] = {file.name for file in contents if file.stat().st_ino not in synced}
            synced.clear()
            return rename(path, target)

        return noting_rename

    monkeypatch.setattr(os, "fsync", noting_sync)
    monkeypatch.setattr(Path, "rename", noting(Path.rename))
    monkeypatch.setattr(Path, "replace", noting(Path.replace))
    store.put_text("fold", "key", '{"a": 1}')
    assert unsynced == {"fold": set()}
    assert synced == [(store.root / "fold").stat().st_ino]
    store.get(Numbers())
    assert unsynced == {"fold": set(), "numbers": set(), "test": set()}
    assert synced == [(store.root / "builds" / "test").stat().st_ino]


def test_the_folders_that_lead_to_an_artifact_are_synced(store, monkeypatch):
    synced: set[Path] = set()
    monkeypatch.setattr("fsamc.store.durable.sync", lambda path: synced.add(path))
    store.put_text("fold", "key", "{}")
    assert {store.root.parent, store.root} <= synced


def test_damaged_text_is_replaced_by_the_next(store, caplog):
    store.put_text("fold", "key", '{"a": 1}')
    (store.root / "fold" / "key" / "content.json").write_text('{"a":')
    later = again(store)
    later.put_text("fold", "key", '{"a": 1}')
    assert "set aside" in caplog.text
    assert later.get_text("fold", "key") == again(store).get_text("fold", "key") == '{"a": 1}'


def test_where_another_process_was_first_its_folder_stays(store):
    """As on a file system whose locks do not hold: the second to finish finds the first one's folder."""

    @dataclass(frozen=True)
    class Overtaken(Numbers):
        def build(self, inner: Store, into: Path) -> None:
            super().build(inner, into)
            shutil.copytree(into, into.parent / "copy")
            other = Store(store.root, run="other")
            with other._temporary() as theirs:
                np.save(theirs / "values.npy", np.arange(99))
                other._commit(theirs, self.kind, self.key)

    assert len(store.get(Overtaken())["values"]) == 99
    assert len(again(store).get(Overtaken())["values"]) == 99


def test_entries_are_what_is_kept(store):
    store.get(Numbers(2))
    store.get(Numbers(3))
    store.put_text("fold", "key", "{}")
    expected = {("numbers", Numbers(2).key), ("numbers", Numbers(3).key), ("fold", "key")}
    assert {(kind, key) for kind, key, _ in store.entries()} == expected
    assert all(store.find(kind, key) == folder for kind, key, folder in store.entries())


def test_entries_hold_nothing_that_was_set_aside_or_is_being_written(store):
    store.get(Numbers(2))
    flip_a_bit(folder_of(store, Numbers(2)))
    assert not again(store).has(Numbers(2))
    with store._temporary() as into:
        (into / CHECKSUMS).write_text("{}")
        assert list(store.entries()) == []


def test_what_another_process_has_verified_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(tmp_path).get(Numbers())
    read: list[Path] = []
    monkeypatch.setattr("fsamc.store.store.damage_of", lambda folder: read.append(folder))
    trusting = Store(tmp_path)
    trusting.trust(Numbers())
    trusting.get(Numbers())
    assert read == []
    trusting.trust(Numbers(n=7))
    assert not trusting.has(Numbers(n=7))
