"""Mirrors of addresses: fetched once, whole or not at all, and never beside their folder."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow.fs import FileSelector, LocalFileSystem

from fsamc.data import remote
from fsamc.data.remote import Address, local, source
from fsamc.errors import BadInput
from tests.fsamc.layouts import write_category


@pytest.fixture
def there(tmp_path) -> Path:
    """A folder that stands for a bucket."""
    write_category(tmp_path / "there", "cap", good=4, classes={"dent": 3, "crack": 3})
    (tmp_path / "there/cap/groups.csv").write_text("path,group\ntest/dent/000.png,a\n")
    (tmp_path / "there/cap/readme.txt").write_text("not an image")
    return tmp_path / "there"


@pytest.fixture
def fetched(monkeypatch) -> list[str]:
    """Names of the files that are fetched from now on."""
    seen: list[str] = []
    fetch = remote._fetch_one

    def noted(files: Any, entry: Any, *more: Any) -> None:
        seen.append(entry.path)
        fetch(files, entry, *more)

    monkeypatch.setattr(remote, "_fetch_one", noted)
    return seen


def mirrored(there: Path, tmp_path: Path) -> Path:
    return local(Address(f"file://{there}"), tmp_path / "cache", "--data")


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_mirror_holds_the_images_and_groups_and_nothing_else(there, tmp_path):
    expected = {path: content for path, content in below(there).items() if not path.endswith(".txt")}
    assert len(expected) == 11
    assert below(mirrored(there, tmp_path)) == expected


def test_what_is_there_is_not_fetched_again(there, tmp_path, fetched):
    first = mirrored(there, tmp_path)
    assert len(fetched) == 11
    assert mirrored(there, tmp_path) == first
    assert len(fetched) == 11


def test_only_what_has_changed_is_fetched_and_readers_keep_what_they_have(there, tmp_path, fetched):
    before = mirrored(there, tmp_path)
    seen = below(before)
    (there / "cap/test/dent/001.png").write_bytes(b"other")
    (there / "cap/test/dent/002.png").unlink()
    (there / "cap/test/dent/010.png").write_bytes(b"new")
    fetched.clear()
    after = mirrored(there, tmp_path)
    assert sorted(fetched) == ["cap/test/dent/001.png", "cap/test/dent/010.png"]
    assert below(after) == {path: content for path, content in below(there).items() if not path.endswith(".txt")}
    assert after != before
    assert below(before) == seen


def test_the_newest_mirror_is_found_without_asking_the_address(there, tmp_path):
    address, cache = Address(f"file://{there}"), tmp_path / "cache"
    assert remote.mirrored(address, cache) is None
    first = mirrored(there, tmp_path)
    assert remote.mirrored(address, cache) == first
    (there / "cap/test/dent/001.png").write_bytes(b"other")
    assert remote.mirrored(address, cache) == first
    os.utime(first, (1, 1))
    second = mirrored(there, tmp_path)
    assert remote.mirrored(address, cache) == second != first


def test_a_fetch_that_breaks_off_goes_on_where_it_was(there, tmp_path, monkeypatch, fetched):
    kept, fetch = [], remote._fetch_one

    def breaking(files: Any, entry: Any, *more: Any) -> None:
        if entry.path.endswith("dent/002.png"):
            raise OSError(None, "the line is dead")
        fetch(files, entry, *more)
        kept.append(entry.path)

    with monkeypatch.context() as patched:
        patched.setattr(remote, "_fetch_one", breaking)
        with pytest.raises(BadInput, match=r"--data file://.*: cannot be read \(.*the line is dead.*\)"):
            mirrored(there, tmp_path)
    (root,) = (tmp_path / "cache/fetched").iterdir()
    assert {path.name for path in root.iterdir()} <= {"files", "lock"}, "no mirror that is not whole"
    fetched.clear()
    mirrored(there, tmp_path)
    assert len(fetched) == 11 - len(kept)


def test_a_file_that_comes_short_is_not_kept(there, tmp_path, monkeypatch):
    listing = remote._listing

    def grown(*given: Any) -> Any:
        files, entries = listing(*given)
        return files, [remote._Entry(one.remote, one.path, one.size + 1, one.changed) for one in entries]

    monkeypatch.setattr(remote, "_listing", grown)
    with pytest.raises(BadInput, match="its listing says"):
        mirrored(there, tmp_path)
    (pool,) = (tmp_path / "cache/fetched").glob("*/files")
    assert {path.suffix for path in pool.iterdir()} == {".part"}


def test_two_at_once_fetch_each_file_once(there, tmp_path, fetched):
    found: list[Path] = []
    both = [threading.Thread(target=lambda: found.append(mirrored(there, tmp_path))) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()
    assert len(set(found)) == 1
    assert len(fetched) == len(set(fetched)) == 11


@pytest.mark.parametrize("name", ["../x.png", "a/../../x.png", "a//x.png", "./x.png", "x\0.png", "a/./x.png"])
def test_a_name_that_leaves_the_folder_is_refused(name):
    with pytest.raises(BadInput, match="is a name that leaves the folder"):
        remote._path_below(f"bucket/data/{name}", "bucket/data/", Address("s3://bucket/data"), "--data")


def test_a_name_from_elsewhere_is_refused():
    with pytest.raises(BadInput, match="leaves the folder"):
        remote._path_below("/etc/x.png", "bucket/data/", Address("s3://bucket/data"), "--data")


def test_a_full_disk_is_told_as_everywhere(there, tmp_path, monkeypatch):
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(remote, "_fetch_one", full)
    with pytest.raises(OSError, match="No space left on device") as error:
        mirrored(there, tmp_path)
    assert str(error.value.filename).startswith(str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("s3://key:hush@bucket/data", "holds credentials"),
        ("s3://key@bucket/data", "holds credentials"),
        ("s3://bucket/data?secret_key=hush", "holds credentials"),
        ("s3://bucket/data?region=x&Access_Key=hush", "holds credentials"),
        ("hdfs://me:hush@host/data", "holds credentials"),
        ("ftp://host/hush", "no such kind of address"),
        ("https://host/hush", "no such kind of address"),
    ],
)
def test_addresses_that_are_refused_are_not_repeated(address, line):
    with pytest.raises(BadInput, match=line) as error:
        source(address, "--data")
    assert "hush" not in str(error.value)


def test_what_is_no_address_is_a_folder():
    assert source("images/bolt", "--data") == Path("images/bolt")
    assert source("s3://bucket/data?region=eu-1", "--data") == Address("s3://bucket/data?region=eu-1")
    assert source("gs://anonymous@bucket/data", "--data") == Address("gs://anonymous@bucket/data")
    assert source("hdfs://me@host:8020/data", "--data") == Address("hdfs://me@host:8020/data")


def test_an_address_that_is_empty_or_absent_or_unreachable(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no images"):
        mirrored(tmp_path / "empty", tmp_path)
    with pytest.raises(BadInput, match="cannot be read"):
        mirrored(tmp_path / "absent", tmp_path)
    with pytest.raises(BadInput, match=r"--data hdfs://127.*cannot be read"):  # S3 would ask again and again, for 6 s
        local(Address("hdfs://127.0.0.1:9/data"), tmp_path / "cache", "--data")
    assert not (tmp_path / "cache").exists()


class Trickling(LocalFileSystem):
    """A store whose file number two never comes whole."""

    def open_input_stream(self, path: str) -> Any:
        if not path.endswith("dent/001.png"):
            return super().open_input_stream(path)
        return SimpleNamespace(read=lambda _: time.sleep(600))


def test_a_file_that_trickles_in_ends_the_fetch_at_the_deadline(there, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "_ask_for_listing", lambda uri: (Trickling(), str(there), _infos(there)))
    with pytest.raises(BadInput, match=r"cannot be read \(cap/test/dent/001\.png: no whole answer within 0\.5 seconds"):
        local(Address(f"file://{there}"), tmp_path / "cache", "--data", deadline=0.5)
    monkeypatch.undo()
    assert len(below(mirrored(there, tmp_path))) == 11


def _infos(folder: Path) -> Any:
    return LocalFileSystem().get_file_info(FileSelector(str(folder), recursive=True))


def test_a_file_that_is_also_a_folder_is_named(there, tmp_path, monkeypatch):
    class Odd:
        def get_file_info(self, selector: Any) -> list[Any]:
            found = LocalFileSystem().get_file_info(selector)
            odd = next(info for info in found if info.path.endswith("000.png"))

            class Below:
                path, size, mtime_ns, type = f"{odd.path}/x.png", 1, 0, odd.type

            return [*found, Below()]

    monkeypatch.setattr("pyarrow.fs.FileSystem", SimpleNamespace(from_uri=lambda uri: (Odd(), str(there))))
    with pytest.raises(BadInput, match=r"000\.png is a file and a folder"):
        mirrored(there, tmp_path)
