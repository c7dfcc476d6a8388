"""Whole sweeps with a final: what it is scored on, said before and after, killed and resumed."""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import pandas as pd
import pytest

from sweeps.finals.final_tables import read_final
from sweeps.plan.load import load_plan
from sweeps.results.choices import recommendation
from sweeps.results.reader import SweepReader
from tests.sweeps.asleep import budget_spent_after, folds_that_sleep
from tests.sweeps.small import Lab, fsamc, n_rows, notes, runs

pytestmark = pytest.mark.ray

SPACE = {"representation.patches": {"choice": [5, 8, 20, 40]}}
FINAL = {"trials": 2, "most": 2, "draws": 3, "share": 0.3}


def plan_with_final(lab: Lab, **final: float):
    return lab.plan(
        space=SPACE, folds={"seeds": [1, 2], "shots": [1]}, search={"algorithm": "grid", "final": FINAL | final}
    )


@pytest.fixture(scope="module")
def ended(materials, tmp_path_factory) -> Lab:
    """A lab in which a sweep with a final has run into `reference`; its screen in `screen`."""
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path_factory.mktemp("finals"))
    with redirect_stdout(io.StringIO()) as screen, folds_that_sleep(report=True):
        lab.sweep(plan_with_final(lab), out="reference")
    (lab.root / "screen").write_text(screen.getvalue())
    return lab


def test_the_search_sees_nothing_of_what_the_final_asks(ended):
    out = ended.root / "reference"
    support = SweepReader(out).support
    folds = pd.read_csv(out / "final_folds.csv")
    searched = pd.read_csv(out / "folds.csv")
    assert not set(folds["draw"]) & set(searched["draw"])
    assert sorted(set(folds["draw"])) == [1, 2, 3]
    for category in ("cap", "tile"):
        mine = support[support["category"] == category]
        held = set(mine.loc[mine["role"] == "final", "image"])
        assert held
        assert not held & set(mine.loc[mine["role"] == "support", "image"])


def test_the_number_is_said_before_and_after_and_stands_everywhere(ended):
    out = ended.root / "reference"
    screen = (ended.root / "screen").read_text()
    final = read_final(out, notes(out))
    saved = SweepReader(out)
    recommended = recommendation(saved.plan, saved.folds, saved.measured)
    assert f"the search's own number, of trial {recommended.best}: " in screen
    best = recommended.trial
    number = final.of(best)
    assert "final: 3 trials at most, on images that the search never sees (cap 6, tile 4) and 3 fresh draws" in screen
    assert f"final: trial {best}: {number.words} on {number.over}" in screen
    assert number.low <= number.mean <= number.high
    assert f"final: trial {best}: {number.words}" in (out / "best.yaml").read_text().splitlines()[0]
    assert load_plan(str(out / "best.yaml")).search.final.trials == 0
    assert f"trial {best}, {number.interval} with 95 % confidence" in (out / "report.html").read_text()
    (parent,), _ = runs(out)
    assert parent.data.metrics["final_accuracy"] == pytest.approx(number.mean)
    assert (parent.data.metrics["final_low"], parent.data.metrics["final_high"]) == pytest.approx(number[2:4])
    assert saved.plan.search.final.draws == 3


@pytest.mark.slow
def test_a_damaged_table_of_the_final_is_told_and_written_again(ended, capfd):
    out = ended.root / "damaged"
    words = ended.words(plan_with_final(ended), out="damaged")
    with folds_that_sleep():
        ended.finish(words)
    (out / "final.csv").write_text("trial\n")
    assert fsamc("report", str(out)) == 2
    assert "final.csv: is missing or not as the sweep wrote it" in capfd.readouterr().err
    with folds_that_sleep():
        ended.finish(words)
    assert read_final(out, notes(out)) is not None


@pytest.mark.slow
def test_where_no_category_can_spare_images_that_is_said_and_the_search_has_them_all(ended, capfd):
    plan = ended.plan(space=SPACE, folds={"seeds": [1], "shots": [4]}, search={"algorithm": "grid", "final": FINAL})
    with folds_that_sleep():
        ended.finish(ended.words(plan, out="without"))
    output = capfd.readouterr().out
    assert "no final on cap: class crack has 5 images of 3 groups to draw from" in output
    assert "no final: no category can spare images for it" in output
    assert not (ended.root / "without" / "final.csv").exists()
    assert "final" not in set(SweepReader(ended.root / "without").support["role"])
    assert n_rows(ended.root / "without") == 8


@pytest.mark.slow
def test_a_time_budget_pauses_a_final(ended):
    out, words = ended.root / "paused", ended.words(plan_with_final(ended), "--no-reuse", out="paused")
    with folds_that_sleep(0.05), budget_spent_after(15, out):
        ended.finish(words)
    assert notes(out)["status"] == "paused"
    with folds_that_sleep():
        ended.finish(words)
    assert notes(out)["status"] == "done"
    assert (out / "final.csv").exists()
