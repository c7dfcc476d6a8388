from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from fsamc.data.category import load_category
from fsamc.errors import BadInput
from sweeps.checks.holding_out import held_for_final
from sweeps.checks.prepare import Prepared
from sweeps.finals.finalists import final_folds, final_lines, final_of, finalists
from sweeps.plan.load import load_plan, plan_hash
from sweeps.plan.settings import Plan
from sweeps.results import tables
from tests.fsamc.layouts import write_category

FINAL = {"trials": 2, "most": 3, "draws": 4}


def plan(**parts: object) -> Plan:
    return Plan.model_validate({"name": "x", "search": {"final": FINAL}, **parts})


def folds(*scores: tuple[float, ...]) -> pd.DataFrame:
    """A trial per argument, with a fold per score: a category and two seeds each."""
    rows = [
        (number, "c", f"cat{place // 2}", place % 2, 0, 2, "prototype", score, 1.0, 2.0, "ok", 1.0)
        for number, of_trial in enumerate(scores)
        for place, score in enumerate(of_trial)
    ]
    return pd.DataFrame(rows, columns=tables.FIXED)


WORST, CLEAR = (0.10, 0.11, 0.10, 0.11), (0.70, 0.71, 0.70, 0.71)
BEST, TIED, ALSO = (0.90, 0.91, 0.90, 0.91), (0.99, 0.80, 0.99, 0.80), (0.95, 0.82, 0.95, 0.82)


def test_the_best_come_with_what_cannot_be_told_apart_from_them_and_the_base():
    none = pd.DataFrame()
    assert finalists(plan(), folds(WORST, CLEAR, BEST), none) == [2, 1, 0]
    assert finalists(plan(), folds(WORST, CLEAR, BEST, TIED, ALSO), none) == [2, 3, 4, 0]
    few = plan(search={"final": {"trials": 1, "most": 2}})
    assert finalists(few, folds(WORST, CLEAR, BEST, TIED, ALSO), none) == [2, 3, 0]
    assert finalists(few, folds(BEST, WORST), none) == [0]


@pytest.fixture
def prepared(tmp_path: Path) -> Prepared:
    write_category(tmp_path, "cap", classes={"crack": 10, "dent": 10})
    write_category(tmp_path, "tile", classes={"crack": 10, "dent": 3})
    asked = plan(folds={"draws": [0, 2], "seeds": [1, 2]})
    categories = {name: load_category(tmp_path, name) for name in ("cap", "tile")}
    held, lines = held_for_final(asked, categories, [asked.base])
    return Prepared(plan=asked, categories=held, textures=None, warnings=tuple(lines), caveats=())


def test_a_category_that_is_too_small_keeps_all_images_for_the_search(prepared):
    (line,) = prepared.warnings
    assert line.startswith(
        "no final on tile: class dent has 3 images of 2 groups to draw from, 2 shots and a query need"
    )
    assert not prepared.categories["tile"].held
    assert [*final_of(prepared).categories] == ["cap"]


def test_the_final_has_fresh_draws_and_its_size_is_said(prepared):
    made = final_folds(final_of(prepared), {})
    assert {(fold.category, fold.draw) for fold in made} == {("cap", draw) for draw in (3, 4, 5, 6)}
    assert len(made) == 4 * 2
    assert final_lines(prepared, 20) == [
        "final: 4 trials at most, on images that the search never sees (cap 6) and 4 fresh draws: 16 to 32 folds more"
    ]
    assert final_lines(prepared, 1) == [
        "final: 1 trial at most, on images that the search never sees (cap 6) and 4 fresh draws: 8 folds more"
    ]
    without = replace(prepared, categories={"tile": prepared.categories["tile"]})
    assert final_lines(without, 20)[0].startswith("no final: no category can spare images")


def test_folds_without_fresh_images_or_draws_and_a_final_exclude_each_other(prepared):
    for parts in ({"score": "support"}, {"protocol": "mvtec-fs"}):
        asked = plan(folds=parts)
        with pytest.raises(BadInput, match="leave one out"):
            held_for_final(asked, prepared.categories, [asked.base])


def test_a_plan_without_a_final_has_the_hash_that_it_had_before_there_were_finals():
    without = load_plan(None, ["search.final.share=0.4"])
    assert plan_hash(without) == plan_hash(load_plan(None))
    assert plan_hash(load_plan(None, ["search.final.trials=2"])) != plan_hash(without)
