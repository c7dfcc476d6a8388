"""Files and folders that belong to somebody else: one line that names them, and 2, before anything is done."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fsamc.layouts import write_category, write_textures
from tests.sweeps.small import fsamc
from tests.sweeps.synthetic import write_synthetic

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="takes capabilities from root, as Linux has them")

_VERSION = 0x20080522  # of the two structs below, in linux/capability.h
_READS_AND_WRITES_ALL = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


@pytest.fixture
def like_anybody() -> Iterator[None]:
    """Have the modes of files hold for this thread and those that it starts, also if it is root's."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    effective = sets[0]
    sets[0] = effective & ~_READS_AND_WRITES_ALL
    assert libc.capset(header, sets) == 0
    yield
    sets[0] = effective
    assert libc.capset(header, sets) == 0


@pytest.fixture(scope="module")
def materials(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("materials")
    write_category(root / "data", "tiles", good=3, classes={"crack": 4, "dent": 5}, groups={"test/dent/000.png": "a"})
    for name in ("out", "other"):
        write_synthetic(root / name, trials=2)
    write_textures(root / "textures", {"wood": 2, "wool": 2})
    for artifact in ("features/0123", "tmp/4567", "damaged/89"):
        (root / "cache" / artifact).mkdir(parents=True)
        os.utime(root / "cache" / artifact, (0, 0))
    return root


@pytest.fixture
def closed(request, materials: Path, tmp_path: Path, like_anybody: None) -> Iterator[Path]:
    """A copy of the materials in which one place may not be read; one that ends with a slash, may only be listed."""
    shutil.copytree(materials, tmp_path, dirs_exist_ok=True)
    place = tmp_path / request.param
    mode = place.stat().st_mode
    place.chmod(0o444 if request.param.endswith("/") else 0)
    yield tmp_path
    place.chmod(mode)


INSPECT, REPORT, COMPARE = ("data", "inspect", "data"), ("report", "out"), ("compare", "other", "out")
READ = ("plan.yaml", "folds.csv", "trials.jsonl", "predictions.csv", "sweep.json", "identity.json")


@pytest.mark.parametrize(
    ("closed", "words"),
    [
        ("data", INSPECT),
        ("data/tiles", INSPECT),
        ("data/tiles/test", INSPECT),
        ("data/tiles/test/dent", INSPECT),
        *((f"{folder}/", INSPECT) for folder in ("data", "data/tiles", "data/tiles/test", "data/tiles/test/dent")),
        ("out", REPORT),
        *((f"out/{name}", REPORT) for name in READ),
        ("out", COMPARE),
        ("out/folds.csv", COMPARE),
        ("out", ("track", "out")),
        ("out/plan.yaml", ("plan", "check", "out/plan.yaml")),
        ("cache", ("cache", "list", "--cache", "cache")),
        ("cache/features", ("cache", "list", "--cache", "cache")),
        ("cache/features", ("cache", "prune", "--cache", "cache")),
        ("cache/features", ("sweep", "smoke", "--data", "data", "--out", "new", "--cache", "cache")),
    ],
    indirect=["closed"],
)
def test_what_may_not_be_read_is_one_line_and_2(request, closed, words, monkeypatch, capfd):
    monkeypatch.chdir(closed)
    assert fsamc(*words) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert Path(request.node.callspec.params["closed"]).name in errors


PREVIEW = ("pseudo", "preview", "data", "--textures", "textures", "--out", "sheets")
SWEEP = ("sweep", "smoke", "--data", "data", "--textures", "textures", "--out", "new", "--cache", "cache")


@pytest.mark.parametrize("words", [PREVIEW, SWEEP], ids=["preview", "sweep"])
@pytest.mark.parametrize(
    "closed", ["textures", "textures/wood", "textures/wood/", "textures/wood/001.png"], indirect=True
)
def test_textures_that_may_not_be_read_are_one_line_and_2(request, closed, words, monkeypatch, capfd):
    monkeypatch.chdir(closed)
    assert fsamc(*words) == 2
    output, errors = capfd.readouterr()
    assert output == ""
    assert errors.count("\n") == 1
    assert request.node.callspec.params["closed"].rstrip("/") in errors
    assert "readable" in errors
    assert not (closed / "new").exists()


@pytest.mark.parametrize("closed", ["cache/features/0123", "cache/tmp/4567", "cache/damaged/89"], indirect=True)
def test_an_artifact_that_may_not_be_read_is_told_of_and_kept(request, closed, capfd):
    place = closed / request.node.callspec.params["closed"]
    for words in (("list",), ("prune", "--days", "0")):
        assert fsamc("cache", *words, "--cache", closed / "cache") == 0
        (line,) = (line for line in capfd.readouterr().err.splitlines() if str(place) in line)
        assert line.startswith(f"{place}: cannot be read (Permission denied)")
        assert place.is_dir()


@pytest.mark.parametrize("closed", ["data/tiles/groups.csv", "data/tiles/test/dent/001.png"], indirect=True)
def test_inspection_names_a_file_that_may_not_be_read_and_goes_on(request, closed, monkeypatch, capfd):
    monkeypatch.chdir(closed)
    assert fsamc(*INSPECT) == 1
    output, _ = capfd.readouterr()
    assert f"serious  {request.node.callspec.params['closed']}: cannot be" in output
    assert "test/crack" in output
