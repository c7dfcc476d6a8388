"""Power cuts: whatever prefix of what was not flushed is left, all that was announced is still there."""

from __future__ import annotations

import os
import shutil
from itertools import product
from pathlib import Path

import pytest

from sweeps.results.folder import SweepFolder
from sweeps.results.reader import SweepReader, TrialRecord
from tests.sweeps.results.test_damage import DATA, SMALL, VALUES, outcomes


class Disk:
    """Remembers what has been flushed of each file in a folder, and which names the folder had when it was.

    A file is known by its inode, since one that was flushed may be renamed later.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self._root, self._flush = root, os.fsync
        self._content: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        patch.setattr(os, "fsync", self._note)

    def _note(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == self._root:
            self._names = {file.name: file.stat().st_ino for file in path.iterdir() if file.is_file()}
        elif path.parent == self._root:
            self._content[status.st_ino] = path.read_bytes()
        self._flush(descriptor)

    def after_a_power_cut(self, share: float, *, renamed: bool, into: Path) -> Path:
        """Leave this share of what was appended and not flushed; `renamed`: also the names that were not."""
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir()
        written = {file.name: file for file in self._root.iterdir() if file.is_file()}
        names = {name: file.stat().st_ino for name, file in written.items()} if renamed else self._names
        now = {file.stat().st_ino: file.read_bytes() for file in written.values()}
        for name, inode in names.items():
            flushed = self._content.get(inode, b"")
            left = now.get(inode, flushed)[len(flushed) :]
            (into / name).write_bytes(flushed + left[: round(share * len(left))])
        return into


@pytest.mark.parametrize("renamed", [True, False])
@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_a_power_cut_takes_nothing_that_was_announced(tmp_path, monkeypatch, share, renamed):
    root = tmp_path / "out"
    disk = Disk(root, monkeypatch)
    folder = SweepFolder(root, SMALL)
    folder.open(DATA)
    moments = []

    def cut(*announced: int) -> None:
        moments.append((disk.after_a_power_cut(share, renamed=renamed, into=tmp_path / str(len(moments))), announced))

    for number in range(3):
        folder.proposed(TrialRecord(number, VALUES))
        cut(*range(number))
        for one in outcomes(number):
            folder.fold(number, VALUES, one)
            cut(*range(number))
        folder.done(number)
        cut(*range(number + 1))
        folder.note({"status": "running", "last": number})
        cut(*range(number + 1))
    folder.finish()
    cut(0, 1, 2)
    reference = SweepReader(root)
    for left, announced in moments:
        opened = SweepFolder(left, SMALL)
        records = opened.open(DATA)
        assert [record.number for record in records if record.done][: len(announced)] == list(announced)
        assert opened.lost == []
        for number, name in product(announced, ("folds", "predictions")):
            there, expected = (_rows(reader, name, number) for reader in (opened.saved, reference))
            assert there == expected


def _rows(reader: SweepReader, name: str, number: int) -> list[tuple[object, ...]]:
    table = reader.predictions(number) if name == "predictions" else reader.folds
    return sorted(table[table["trial"].astype(int) == number].itertuples(index=False, name=None))


def test_rows_are_flushed_before_the_line_that_seals_them_and_not_one_by_one(tmp_path, monkeypatch):
    done: list[str] = []
    flush = os.fsync

    def note(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        flush(descriptor)

    folder = SweepFolder(tmp_path / "out", SMALL)
    folder.open(DATA)
    monkeypatch.setattr(os, "fsync", note)
    folder.proposed(TrialRecord(0, VALUES))
    assert done == ["trials.jsonl"]
    for one in outcomes(0):
        folder.fold(0, VALUES, one)
    assert done == ["trials.jsonl"]
    folder.done(0)
    assert done == ["trials.jsonl", "folds.csv", "predictions.csv", "trials.jsonl"]
    done.clear()
    folder.note({"status": "running"})
    assert done == ["sweep.json.part", "out"]
