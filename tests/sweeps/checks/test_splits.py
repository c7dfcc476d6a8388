from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from fsamc.config.dotted import updated
from fsamc.data.category import Category, load_category
from sweeps.checks.prepare import Prepared
from sweeps.plan.settings import Plan
from sweeps.results.splits import Split, lost_query_lines, splits, write_splits
from tests.fsamc.layouts import write_category

ONE = {"shots": [1]}


def prepared(root: Path, groups: dict[str, str] | None, shots: Sequence[int] = (1,)) -> Prepared:
    write_category(root, "plate", classes={"dent": 6, "scratch": 6}, groups=groups)
    plan = Plan.model_validate({"name": "x", "folds": {"draws": [0, 1], "shots": shots}})
    categories = {"plate": load_category(root, "plate")}
    return Prepared(plan=plan, categories=categories, textures=None, warnings=(), caveats=())


def test_the_first_folds_are_of_different_categories_and_shots_and_every_one_comes_once(tmp_path):
    for name in ("cap", "tile"):
        write_category(tmp_path, name, classes={"crack": 4, "dent": 4})
    plan = Plan.model_validate({"name": "x", "folds": {"seeds": [1, 2], "shots": [1, 3]}})
    categories = {name: load_category(tmp_path, name) for name in ("cap", "tile")}
    every = Prepared(plan=plan, categories=categories, textures=None, warnings=(), caveats=())
    folds = [(fold.category, fold.seed, fold.draw, fold.config.shots) for fold in every.folds(plan.base)]
    assert folds[:4] == [("cap", 1, 0, 1), ("tile", 1, 0, 3), ("cap", 1, 0, 3), ("tile", 1, 0, 1)]
    assert len(set(folds)) == len(folds) == 2 * 2 * 2
    assert every.averaged == {1: ("cap", "tile"), 3: ("cap", "tile")}


def test_whether_there_is_a_fold_is_asked_once_for_all_trials_and_seeds(tmp_path, monkeypatch):
    """An answer takes all images of the category."""
    every = prepared(tmp_path, None, shots=(1, 2))
    seeds = every.plan.folds.model_copy(update={"seeds": (1, 2, 3)})
    every = replace(every, plan=every.plan.model_copy(update={"folds": seeds}))
    asked, problem = [], Category.problem
    monkeypatch.setattr(Category, "problem", lambda *a, **k: asked.append(a) or problem(*a, **k))
    for ratio in (0.1, 0.2, 0.3):
        config = updated(every.plan.base, {"reference.ratio": ratio})
        assert len(every.folds(config)) == 2 * 3 * 2
    assert len(asked) == 2 * 2


def test_a_category_that_is_too_small_for_some_shots_has_no_folds_there_and_is_not_averaged_there(tmp_path):
    write_category(tmp_path, "cap", classes={"crack": 4, "dent": 4})
    write_category(tmp_path, "tile", classes={"crack": 4, "dent": 2})
    plan = Plan.model_validate({"name": "x", "folds": {"seeds": [1], "shots": [1, 3]}})
    categories = {name: load_category(tmp_path, name) for name in ("cap", "tile")}
    every = Prepared(plan=plan, categories=categories, textures=None, warnings=(), caveats=())
    assert {(fold.category, fold.config.shots) for fold in every.folds(plan.base)} == {
        ("cap", 1), ("cap", 3), ("tile", 1),
    }  # fmt: skip
    assert every.averaged == {1: ("cap", "tile"), 3: ("cap",)}


def test_every_image_is_support_query_or_left_out(tmp_path: Path) -> None:
    groups = {f"test/dent/{n:03}.png": f"part {n // 3}" for n in range(6)}
    found = splits(prepared(tmp_path, groups, [1, 2]))
    assert [(split.shots, split.draw) for split in found] == [(1, 0), (1, 1)]  # two groups: no query at two shots
    for split in found:
        in_support = sum(map(len, split.support.values()))
        assert in_support + split.queries + len(split.left_out) == 12
        assert len(split.left_out) == 2  # the other two exposures of the one dent in the support


def test_what_is_left_out_is_counted_in_words_and_listed(tmp_path: Path) -> None:
    groups = {f"test/dent/{n:03}.png": f"part {n // 3}" for n in range(6)}
    found = splits(prepared(tmp_path, groups))
    (line,) = lost_query_lines(found)
    assert line.startswith("plate, 1 shot: 2 images left out")
    assert "8 queries stay" in line
    write_splits(found, tmp_path)
    table = pd.read_csv(tmp_path / "support.csv")
    assert list(table.columns) == ["category", "good", "shots", "draw", "role", "image"]
    first = table[table["draw"] == 0]
    assert list(first[first["role"] == "support"]["image"]) == ["test/dent/000.png", "test/scratch/000.png"]
    assert list(first[first["role"] == "left out"]["image"]) == ["test/dent/001.png", "test/dent/002.png"]


def test_with_good_as_a_class_its_images_are_split_too(tmp_path: Path) -> None:
    write_category(tmp_path, "plate", classes={"dent": 3, "scratch": 3}, test_good=4)
    categories = {"plate": load_category(tmp_path, "plate")}

    def found(**plan: object) -> list[Split]:
        prepared = Prepared(
            plan=Plan.model_validate({"name": "x", **plan}),
            categories=categories,
            textures=None,
            warnings=(),
            caveats=(),
        )
        return splits(prepared)

    without, with_good = found(folds=ONE, space={"good": {"choice": [True, False]}})
    assert (without.good, list(without.support), without.queries) == (False, ["dent", "scratch"], 4)
    assert (with_good.good, list(with_good.support), with_good.queries) == (True, ["good", "dent", "scratch"], 7)
    assert found(folds=ONE, base={"good": True}) == [with_good]
    write_splits([without, with_good], tmp_path)
    table = pd.read_csv(tmp_path / "support.csv")
    assert list(table.loc[table["good"], "image"]) == [f"test/{name}/000.png" for name in with_good.support]
    assert len(table) == 5


def test_nothing_is_said_where_nothing_is_left_out(tmp_path: Path) -> None:
    assert lost_query_lines(splits(prepared(tmp_path, None))) == []
