from __future__ import annotations

import os
import time

import pytest
from filelock import FileLock
from rich.console import Console

from fsamc.store.damage import CHECKSUMS
from fsamc.store.store import Store
from sweeps.cli.cache_care import cache_table, prune_cache

DAY = 86400


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "cache")


def keep(store, kind, key, *, days=0.0, text='"x"'):
    """An artifact that was last used so many days ago."""
    store.put_text(kind, key, text)
    folder = store.root / kind / key
    aged(folder, days)
    return folder


def aged(path, days):
    then = time.time() - days * DAY
    for each in (*(path.rglob("*") if path.is_dir() else ()), path):
        os.utime(each, (then, then))
    return path


def left(store, place, name, *, days):
    folder = store.root / place / name
    folder.mkdir(parents=True)
    (folder / "features.npy").write_bytes(bytes(1000))
    return aged(folder, days)


def size(folder):
    return sum(file.stat().st_size for file in folder.iterdir())


def test_what_was_not_used_for_so_long_goes_and_what_is_younger_stays(store):
    ages = {"a": 40, "b": 31, "c": 29, "d": 0}
    folders = {key: keep(store, "bank", key, days=days) for key, days in ages.items()}
    expected = size(folders["a"]) + size(folders["b"])
    assert prune_cache(store.root, days=30) == expected
    assert {key for key, folder in folders.items() if folder.exists()} == {"c", "d"}
    assert prune_cache(store.root, days=30) == 0


def test_loading_an_artifact_renews_it(store):
    used, unused = keep(store, "bank", "used", days=40), keep(store, "bank", "unused", days=40)
    assert Store(store.root).get_text("bank", "used") == '"x"'
    prune_cache(store.root, days=30)
    assert used.exists()
    assert not unused.exists()


def test_a_pruned_artifact_is_not_found_by_those_who_had_seen_it(store):
    keep(store, "bank", "a")
    assert store.find("bank", "a") is not None
    aged(store.root / "bank" / "a", 2)
    prune_cache(store.root, days=1)
    assert store.find("bank", "a") is None
    assert list((store.root / "tmp").iterdir()) == []


@pytest.mark.parametrize("place", ["tmp", "damaged"])
def test_leftovers_go_after_a_day_whatever_is_asked_for(store, place):
    old, young = left(store, place, "old", days=1.1), left(store, place, "young", days=0.9)
    assert prune_cache(store.root, days=365) == 1000
    assert not old.exists()
    assert young.exists()


def test_a_leftover_is_as_old_as_the_newest_file_in_it(store):
    growing = left(store, "tmp", "growing", days=3)
    os.utime(growing / "features.npy")
    assert prune_cache(store.root, days=0) == 0
    assert growing.exists()


def test_locks_of_nothing_go_and_others_stay(store):
    keep(store, "bank", "kept")
    locks = store.root / "locks"
    locks.mkdir()
    for name, days in (("bank-kept", 9), ("bank-gone", 9), ("bank-new", 0), ("bank-held", 9)):
        (locks / f"{name}.lock").touch()
        aged(locks / f"{name}.lock", days)
    with FileLock(locks / "bank-held.lock"):
        aged(locks / "bank-held.lock", 9)
        prune_cache(store.root, days=30)
    assert {lock.stem for lock in locks.iterdir()} >= {"bank-kept", "bank-new", "bank-held"}
    assert not (locks / "bank-gone.lock").exists()


def test_the_table_counts_by_kind_and_keeps_leftovers_apart(store):
    keep(store, "bank", "a", text='"' + "x" * 2_000_000 + '"')
    keep(store, "bank", "b")
    keep(store, "features", "c")
    left(store, "tmp", "d", days=0)
    damaged = left(store, "damaged", "bank-e", days=0)
    (damaged / CHECKSUMS).write_text("{}")
    console = Console(record=True, width=120)
    console.print(cache_table(store.root))
    lines = [each.strip("│ ") for each in console.export_text().splitlines() if each.startswith("│")]
    rows = [[cell.strip() for cell in each.split("│")] for each in lines]
    assert rows == [
        ["bank", "2", "2.0"],
        ["features", "1", "0.0"],
        ["damaged, set aside", "1", "0.0"],
        ["left by killed runs", "1", "0.0"],
        ["all", "5", "2.0"],
    ]


def test_a_cache_that_is_not_there_is_empty_and_stays_so(tmp_path):
    assert prune_cache(tmp_path / "none", days=0) == 0
    assert cache_table(tmp_path / "none").row_count == 1
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["bank/strange", "locks", "tmp", "damaged", "builds", "tmp/old", "damaged/old"])
@pytest.mark.parametrize(
    "make",
    [
        lambda place: place.write_bytes(bytes(1000)),
        os.mkfifo,
        lambda place: place.symlink_to(place),
        lambda place: place.symlink_to("/dev/zero"),
        lambda place: place.symlink_to("nowhere"),
    ],
    ids=["file", "pipe", "link to itself", "link to a device", "link to nothing"],
)
def test_what_is_no_folder_is_listed_and_goes_as_leftovers_do(store, caplog, name, make):
    keep(store, "bank", "kept")
    (store.root / "tmp").rmdir()
    place = store.root / name
    place.parent.mkdir(exist_ok=True)
    make(place)
    then = time.time() - 2 * DAY
    os.utime(place, (then, then), follow_symlinks=False)
    table = cache_table(store.root)
    assert (table.row_count, list(table.columns[1].cells)[-1]) == (3, "2")
    expected = 1000 if place.is_file() else 0
    assert prune_cache(store.root, days=30) == expected
    assert ("set aside" in caplog.text) == (not name.endswith("old"))
    assert store.get_text("bank", "kept") == '"x"'
    assert Store(store.root).obstructions() == []
    assert list((store.root / "tmp").iterdir()) == []
