from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fsamc.data.category import Category, load_category
from fsamc.data.held_out import hold_out
from tests.fsamc.layouts import write_category


@pytest.fixture
def category(tmp_path: Path) -> Category:
    """Ten parts of dents in pairs of images, six scratches; one part has a dent and a scratch."""
    groups = {f"test/dent/{n:03}.png": f"part {n // 2}" for n in range(20)} | {"test/scratch/000.png": "part 0"}
    write_category(tmp_path, "plate", classes={"dent": 20, "scratch": 6}, groups=groups)
    return load_category(tmp_path, "plate")


def groups_of(category: Category, name: str) -> set[str]:
    return {category.group(path) for path in category.classes[name]}


def test_a_share_of_each_class_s_groups_is_held_and_always_the_same(category):
    held = hold_out(category, 0.3)
    assert len(held.held & groups_of(category, "dent")) >= 3
    assert len(held.held & groups_of(category, "scratch")) == 2
    assert len(held.held) in (4, 5)  # the part that has both counts in both classes
    assert hold_out(category, 0.3).held == held.held
    assert hold_out(category, 0.01).held & groups_of(category, "scratch"), "at least one of each class"


@pytest.mark.parametrize("draw", range(6))
def test_search_and_final_share_no_physical_part_but_those_of_the_support(category, draw):
    search = hold_out(category, 0.3)
    final = replace(search, final=True)
    asked = {path for paths in search.queries(2, draw).values() for path in paths}
    fresh = {path for paths in final.queries(2, draw).values() for path in paths}
    support = {path for paths in search.support(2, draw).values() for path in paths}
    assert support == {path for paths in final.support(2, draw).values() for path in paths}
    parts = [{category.group(path) for path in paths} for paths in (asked, fresh, support)]
    assert not parts[0] & parts[1]
    assert not parts[1] & parts[2]
    assert not parts[2] & parts[0]
    assert parts[1] == search.held
    assert {*asked, *fresh, *support, *search.excluded(2, draw)} == {*category.defects}


def test_what_is_held_tells_folds_apart_and_changes_no_other_s_address(category):
    search = hold_out(category, 0.3)
    prints = {one.fingerprint for one in (category, search, replace(search, final=True), hold_out(category, 0.5))}
    assert len(prints) == 4
    assert replace(search, held=frozenset()).fingerprint == category.fingerprint


def test_the_search_needs_a_query_of_its_own_and_the_final_has_its(category):
    search = hold_out(category, 0.3)  # of six scratches it has four
    assert search.problem(3) is None
    assert search.problem(4) == (
        "plate: class scratch has 6 images of 4 groups to draw from, 4 shots and a query need 5 groups"
    )
    assert replace(search, final=True).problem(4) is None
