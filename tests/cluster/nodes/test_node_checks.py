"""What a place sees of files and folders that it should share with the driver. Folders of one disk stand for nodes."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.nodes.node_checks import Cached, Files, shared_folder
from fsamc.errors import BadInput

PATHS = ("train/good/1.png", "train/good/2.png", "test/dent/1.png")


@pytest.fixture
def files(tmp_path) -> Files:
    """The driver's files; those of a node are put where they say, which is another folder."""
    for root in ("driver", "node"):
        for path in PATHS:
            file = tmp_path / root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x" * len(path))
    return replace(Files.here("--data", tmp_path / "driver", PATHS), folder=tmp_path / "node")


def test_the_same_files_are_no_trouble(files):
    assert files.trouble() is None
    (files.folder / "notes.txt").write_text("what nobody reads is nobody's trouble")
    assert files.trouble() is None


def test_a_folder_that_is_not_there(files):
    assert replace(files, folder=files.folder / "no").trouble() == "is not there"


def test_missing_and_other_files_are_counted_and_the_first_is_named(files):
    (files.folder / PATHS[1]).write_bytes(b"longer than it was at the driver")
    assert files.trouble() == "1 of 3 files are of another size, the first train/good/2.png"
    for path in PATHS[1:]:
        (files.folder / path).unlink()
    assert files.trouble() == "2 of 3 files are missing or cannot be read, the first train/good/2.png"


def test_a_file_that_went_while_the_driver_looked_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.png: cannot be opened"):
        Files.here("--data", tmp_path, ["gone.png"])


def test_the_driver_sees_its_own_folder_and_leaves_nothing_in_it(tmp_path):
    with shared_folder("--out", tmp_path / "new" / "out") as shared:
        assert shared.folder == tmp_path / "new" / "out"
        assert shared.probe.parent == tmp_path, "the nearest one that is there: none is made"
        assert shared.trouble() is None
    assert list(tmp_path.iterdir()) == []


def test_another_folder_at_the_same_path_is_told_from_the_driver_s(tmp_path):
    with shared_folder("--cache", tmp_path) as shared:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        there = replace(shared, probe=elsewhere / shared.probe.name)
        assert there.trouble() == "is another folder than the driver's"
        there.probe.write_text("a probe of somebody else")
        assert there.trouble() == "is another folder than the driver's"
        assert replace(shared, probe=tmp_path / "no" / "probe").trouble() == "is not there"


def test_a_folder_that_a_node_may_only_read(disk):
    mounted = disk("size=1m")
    with shared_folder("--out", mounted) as shared:
        subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
        assert shared.trouble() == "cannot be written to (Read-only file system)"
        subprocess.run(["mount", "-o", "remount,rw", str(mounted)], check=True)


def test_weights_are_looked_for_where_torch_looks_here(tmp_path, monkeypatch):
    import torch

    cached = Cached(name="resnet50-0.pth")
    assert cached.folder == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert cached.folder == Path(torch.hub.get_dir()) / "checkpoints"
    assert "holds no resnet50-0.pth" in cached.trouble()
    cached.folder.mkdir(parents=True)
    (cached.folder / cached.name).write_bytes(b"x")
    assert cached.trouble() is None
