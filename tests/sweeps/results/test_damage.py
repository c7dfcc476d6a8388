"""Files of OUT that are missing, empty, cut at any byte or hold NUL bytes: the right table, or one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from cluster.folds import Outcome
from fsamc.errors import BadInput
from fsamc.store.digests import digest
from sweeps.compare.side import read_sides
from sweeps.plan.load import load_plan
from sweeps.plan.plan_file import check_complete
from sweeps.report.evidence import gather
from sweeps.results.files import read_file
from sweeps.results.folder import SweepFolder
from sweeps.results.identity import read_identity, read_notes
from sweeps.results.reader import SweepReader, TrialRecord
from sweeps.results.rows import read_rows, readable_rows, seals
from tests.sweeps.outs import PLAN, outcome

DATA = {"category cap": "c1"}
SMALL = PLAN.model_copy(update={"folds": PLAN.folds.model_copy(update={"seeds": (1, 2), "draws": (0,)})})
TABLES = ("folds.csv", "predictions.csv")
NOTED = {"fingerprint": "f", "versions": {"torch": "2"}, "tracking_uri": None}
VALUES = {"head.kind": "prototype", "representation.patches": 7}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A finished sweep: two trials that are done, and one that was stopped after the second of its folds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        folder = SweepFolder(tmp_path_factory.mktemp("whole"), SMALL)
        folder.open(DATA)
        for number in range(3):
            folder.proposed(TrialRecord(number, VALUES))
            for one in outcomes(number):
                folder.fold(number, VALUES, one)
            folder.done(number, stopped="it was the worst" if number == 2 else None)
        folder.finish()
        folder.note({"status": "done", "run": "r", "caveats": ["beware"], "trials": 3, **NOTED})
        return folder.root


@pytest.fixture
def out(whole: Path, tmp_path: Path, monkeypatch) -> Path:
    """A copy of it to be damaged."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Path(shutil.copytree(whole, tmp_path / "out"))


def outcomes(number: int) -> list[Outcome]:
    seeds = (2,) if number == 2 else (1, 2)
    return [outcome(SMALL, VALUES, ("cap", seed, 0), (number + seed) % 3, queries=2) for seed in seeds]


def from_store(record: TrialRecord) -> list[Outcome]:
    """A store that has everything. Of a stopped trial only the folds that it had are asked for."""
    found = outcomes(record.number)
    assert not record.folds or record.folds == [("cap", one.fold.seed, 0, 3) for one in found]
    return found


def contents(out: Path) -> dict[str, str]:
    return {name: (out / name).read_text() for name in TABLES}


def cuts(path: Path) -> Iterator[bytes]:
    """The file's content cut at every byte, and with NUL bytes for the rest of a block of 64 from every fifth."""
    content = path.read_bytes()
    for place in range(len(content)):
        yield content[:place]
        if place % 5 == 0:
            end = min(len(content), (place // 64 + 1) * 64)
            yield content[:place] + bytes(end - place) + content[end:]


def some(path: Path, number: int) -> list[bytes]:
    """So many of the file's cuts, evenly spread, the first and the last among them."""
    every = list(cuts(path))
    return [every[round(n * (len(every) - 1) / (number - 1))] for n in range(number)]


def reads(out: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame] | None:
    """What whoever reads OUT gets of it; None where that is one line."""
    saved = SweepReader(out)
    try:
        return saved.folds, saved.predictions(0), saved.predictions(2)
    except BadInput:
        return None


def resume(out: Path, find: Callable[[TrialRecord], list[Outcome] | None] = from_store) -> SweepFolder:
    """Go on with the sweep: what is not done is reported again, as a sweep does that finds its folds in a store."""
    folder = SweepFolder(out, SMALL)
    records = {record.number: record for record in folder.open(DATA, find=find)}
    for number in range(3):
        if number not in records:
            folder.proposed(TrialRecord(number, VALUES))
        if number not in records or not records[number].done:
            for one in outcomes(number):
                folder.fold(number, VALUES, one)
            folder.done(number, stopped="it was the worst" if number == 2 else None)
    folder.finish()
    return folder


@pytest.mark.parametrize("name", TABLES)
def test_rows_cut_at_any_byte_are_all_there_or_their_seals_miss_them(whole, tmp_path, name):
    path = tmp_path / name
    sealed = {record.number: record.seals[name] for record in SweepReader(whole).trials}
    expected = read_rows(whole / name)
    assert seals(expected) == sealed
    for content in cuts(whole / name):
        path.write_bytes(content)
        with suppress(BadInput):
            rows = read_rows(path)
            assert seals(rows) != sealed or rows.equals(expected)
        kept = readable_rows(path, list(expected.columns))
        assert len(kept) >= len(content.replace(b"\0", b"").split(b"\n")) - 4, "rows that are whole were given up"


@pytest.mark.parametrize("name", [*TABLES, "trials.jsonl"])
def test_a_reader_gets_the_whole_of_a_table_or_one_line_wherever_it_is_cut(whole, out, name):
    expected = reads(whole)
    assert expected is not None
    for content in some(whole / name, 60):
        (out / name).write_bytes(content)
        if (found := reads(out)) is not None:
            for frame, other in zip(found, expected, strict=True):
                pd.testing.assert_frame_equal(frame, other)
    (out / name).unlink()
    assert reads(out) is None


@pytest.mark.parametrize("name", [*TABLES, "trials.jsonl"])
def test_a_resumed_sweep_gets_the_table_of_an_undisturbed_one_wherever_a_file_is_cut(whole, out, name):
    for content in [None, *some(whole / name, 6)]:
        (out / name).unlink() if content is None else (out / name).write_bytes(content)
        resume(out)
        assert contents(out) == contents(whole)
        assert (out / "summary.csv").read_bytes() == (whole / "summary.csv").read_bytes()
        assert reads(out) is not None


def test_what_is_restored_is_said_and_the_rest_is_as_it_was(whole, out):
    lines = (out / "folds.csv").read_text().splitlines(keepends=True)
    (out / "folds.csv").write_text("".join(lines[:-2]))  # the stopped trial's row, and one of trial 1
    folder = SweepFolder(out, SMALL)
    records = folder.open(DATA, find=from_store)
    assert [record.done for record in records] == [True, True, True]
    assert records[2].stopped == "it was the worst"
    assert [line.partition(": ")[2] for line in folder.repairs()] == [
        f"rows of trial {number} were missing or changed; they are written again from their results"
        for number in (1, 2)
    ]
    folder.finish()
    assert contents(out) == contents(whole)


def test_what_cannot_come_back_is_run_again(whole, out):
    (out / "predictions.csv").unlink()
    folder = SweepFolder(out, SMALL)
    records = folder.open(DATA, find=lambda record: outcomes(0) if record.number == 0 else None)
    assert [(record.done, record.stopped) for record in records] == [(True, None), (False, None), (False, None)]
    assert [line.partition("; ")[2] for line in folder.repairs()] == [
        "they are written again from their results",
        *2 * ["they are lost: it is run again"],
    ]
    assert read_rows(out / "folds.csv")["trial"].tolist() == ["0", "0"]
    assert contents(resume(out).root) == contents(whole)


@pytest.mark.parametrize("name", ["plan.yaml", "best.yaml"])
def test_a_plan_that_was_cut_short_is_no_plan(whole, out, name):
    text = (whole / name).read_text()
    start = text.index("name: ")
    for place in range(start, len(text) - 1):
        with pytest.raises(ValueError, match="cut short"):
            check_complete(text[:place])
    for content in [b"", text[: start // 2].encode(), text[:start].encode(), *some(whole / name, 8)[:-1]]:
        (out / name).write_bytes(content)
        with pytest.raises(BadInput, match=name):
            load_plan(str(out / name))
    with pytest.raises(BadInput, match=r"plan\.yaml"):
        _ = SweepReader(out).plan if name == "plan.yaml" else load_plan(str(out / "no plan.yaml"))
    assert load_plan(str(whole / name)).name == ("written" if name == "plan.yaml" else "written-best")


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"plan": 1, "data": [], "run": "r"}', b"\0\0", None])
def test_an_identity_that_is_lost_is_restored_from_its_copy(whole, out, content):
    before = (whole / "identity.json").read_text()
    for damaged in [content] if content is None or not content else [content, *cuts(whole / "identity.json")]:
        (out / "identity.json").unlink() if damaged is None else (out / "identity.json").write_bytes(damaged)
        assert read_identity(out) == read_identity(whole)
    assert resume(out).run == read_identity(whole).run
    assert (out / "identity.json").read_text() == before
    (out / "sweep.json").unlink()
    (out / "identity.json").write_bytes(b"{")
    with pytest.raises(BadInput, match=r"identity\.json.*restore it from a copy"):
        resume(out)


def test_damaged_notes_are_one_line_for_who_reads_them_and_written_anew_by_who_goes_on(whole, out):
    for content in [*cuts(whole / "sweep.json"), b'{"seconds": "long"}', b'{"materials": 3}', b"[]"]:
        (out / "sweep.json").write_bytes(content)
        with pytest.raises(BadInput, match=r"sweep\.json.*written anew"):
            read_notes(out)
    folder = resume(out)
    assert not (out / "sweep.json").exists()
    assert folder.repairs() == [
        f"{out}/sweep.json: was damaged; it is written anew, without the time and the memory of earlier runs"
    ]
    assert contents(out) == contents(whole)


@pytest.mark.parametrize("name", ["sweep.json", "trials.jsonl", "folds.csv", "plan.yaml"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda path: os.truncate(path, 0), lambda path: os.truncate(path, 40)])
def test_reports_and_comparisons_refuse_what_they_cannot_show_whole(whole, out, name, damage):
    damage(out / name)
    with pytest.raises(BadInput, match=name):
        gather(out)
    if name != "sweep.json" or (out / name).exists():  # which they do without
        with pytest.raises(BadInput, match=name):
            read_sides([out, whole])


@pytest.mark.parametrize("name", [*TABLES, "trials.jsonl", "sweep.json", "plan.yaml", "support.csv"])
@pytest.mark.parametrize(
    "make",
    [os.mkfifo, Path.mkdir, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")],
    ids=["pipe", "folder", "link to itself", "link to a device"],
)
def test_what_is_no_file_is_one_line(out, name, make):
    (out / name).unlink(missing_ok=True)
    make(out / name)
    with pytest.raises(BadInput, match=name):
        read_file(out / name)
    with pytest.raises(BadInput, match=name):
        SweepReader(out).check()


@pytest.mark.parametrize(
    "change", [lambda path: os.truncate(path, 60), Path.unlink, lambda path: path.write_bytes(b"")]
)
def test_support_is_read_as_it_was_written_or_not_at_all(out, change):
    (out / "support.csv").write_text(text := "category,good,shots,draw,role,image\ncap,false,3,0,support,a.png\n")
    folder = SweepFolder(out, SMALL)
    folder.open(DATA, find=from_store)
    folder.note({"support": digest(text)})
    assert SweepReader(out).support["image"].tolist() == ["a.png"]
    change(out / "support.csv")
    with pytest.raises(BadInput, match=r"support\.csv"):
        SweepReader(out).check()
