"""The journal by itself: what it says of OUT while OUT grows, is torn, is resumed and is sorted."""

from __future__ import annotations

from pathlib import Path

import pytest

from fsamc.errors import BadInput
from sweeps.results.reader import SweepReader
from sweeps.tracking.journal import Journal
from tests.sweeps.outs import Out


@pytest.fixture
def out(tmp_path: Path) -> Out:
    return Out(tmp_path / "out")


def test_a_trial_appears_when_it_is_proposed_and_grows_fold_by_fold(out: Out):
    journal = Journal(out.root)
    assert journal.read() == {}
    out.propose(0)
    assert journal.read()[0].record.values == out.values(0)
    for count, (where, right) in enumerate(out.scores(0).items(), start=1):
        out.fold(0, where, right)
        assert len(journal.read()[0].rows) == count
    assert not journal.read()[0].record.done
    out.folder.done(0)
    trial = journal.read()[0]
    assert trial.record.done
    assert trial.categories == ["cap", "tile"]
    finished = SweepReader(out.root).finished[["trial", "shots", "category", "seed", "accuracy"]]
    assert sorted(trial.scores()) == sorted(finished.itertuples(index=False, name=None))


def test_a_row_that_is_torn_is_read_when_it_is_whole(out: Out):
    journal = Journal(out.root)
    out.propose(0)
    out.fold(0, ("cap", 1, 0), 7)
    path = out.root / "predictions.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    assert len(journal.read()[0].answers[("cap", 1, 0, 3)].truth) == 9
    with path.open("ab") as file:
        file.write(whole[-5:])
    assert len(journal.read()[0].answers[("cap", 1, 0, 3)].truth) == 10


def test_a_failed_fold_has_a_row_and_no_score_and_the_end_reaches_a_record_that_was_read_before(out: Out):
    journal = Journal(out.root)
    out.propose(0)
    out.fold(0, ("cap", 1, 0), None)
    out.fold(0, ("cap", 2, 0), 4)
    trial = journal.read()[0]
    assert len(trial.rows) == 2
    assert [score for *_, score in trial.scores()] == [0.4]
    assert not trial.record.failed
    out.folder.failed(0)
    record = journal.read()[0].record
    assert record.failed
    assert record.ended is not None


def test_a_resumed_sweep_and_one_that_has_ended_are_read_anew_and_count_nothing_twice(out: Out):
    journal = Journal(out.root)
    out.trial(0)
    out.propose(1)
    out.fold(1, ("cap", 1, 0), 3)
    assert len(journal.read()[1].rows) == 1
    out.reopen()  # without the folds of trials that were not done
    assert len(journal.read()[1].rows) == 0
    out.fold(1, ("cap", 1, 0), 3)
    assert len(journal.read()[1].rows) == 1
    out.end()  # with sorted tables
    trials = journal.read()
    assert [len(trial.rows) for trial in trials.values()] == [8, 1]
    assert all(len(answers.truth) == 10 for trial in trials.values() for answers in trial.answers.values())


def test_of_what_is_forgotten_the_record_stays_even_when_the_tables_come_anew(out: Out):
    journal = Journal(out.root)
    out.trial(0)
    out.trial(1)
    journal.read()
    journal.forget(0)
    out.end()
    first, second = journal.read().values()
    assert first.record.done
    assert not first.rows
    assert not first.answers
    assert len(second.rows) == 8


def test_a_line_of_a_trial_that_is_damaged_is_named_until_it_is_restored(out: Out):
    journal, path = Journal(out.root), out.root / "trials.jsonl"
    out.trial(0)
    journal.read()
    whole = path.read_bytes()
    path.write_bytes(whole + b"{damaged\n")
    for _ in range(2):
        with pytest.raises(BadInput, match="line 3 is no JSON object"):
            journal.read()
    path.write_bytes(whole + b'{"trial": 1, "val')
    assert list(journal.read()) == [0], "a torn line waits for its end"
    with path.open("ab") as file:
        file.write(b'ues": {}}\n')
    assert list(journal.read()) == [0, 1]
