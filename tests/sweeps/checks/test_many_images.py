"""Categories of many images: what is left out of them is said, and few questions are asked of them."""

from __future__ import annotations

import io
import time
from math import log2
from pathlib import Path

import pytest
from rich.console import Console

from fsamc.config.dotted import updated
from fsamc.data.category import Category
from fsamc.fold.config import FoldConfig
from sweeps.checks.many_images import bank_limits
from sweeps.cli.show import _most_shots
from sweeps.progress.reading_bar import reading_bar


def category(images: int, *, good: int = 1) -> Category:
    paths = {name: tuple(f"test/{name}/{number}.png" for number in range(images)) for name in ("dent", "hole")}
    train = tuple(f"train/good/{number}.png" for number in range(good))
    return Category(
        folder=Path("bolt"), name="bolt", train=train, good=(), classes=paths, masks={}, groups={}, digests={}
    )


def test_a_limited_bank_is_one_line_however_many_configurations_have_it():
    base = FoldConfig()
    more = updated(base, {"reference.candidates": None})
    heads = [updated(base, {"head.kind": kind}) for kind in ("prototype", "contrastive")]
    many, few = category(5, good=511), category(5, good=510)
    (line,) = bank_limits([base, *heads], [many, few])
    assert line.startswith("bolt: 511 good images are many; the bank is chosen among 400,000 of their patches")
    assert bank_limits([more], [many]) == []
    assert bank_limits([updated(base, {"head.kind": "direct"})], [many]) == []  # has no bank


@pytest.mark.parametrize("images", [2, 5, 8, 9, 33, 500])
@pytest.mark.parametrize("scored_by", ["queries", "support"])
def test_the_most_shots_are_found_with_few_questions(images, scored_by, monkeypatch):
    """Each takes all images, so one for each number of shots would take a day of twenty thousand."""
    asked = []
    problem = Category.problem
    monkeypatch.setattr(Category, "problem", lambda *a, **k: asked.append(a[1]) or problem(*a, **k))
    most, lacks = _most_shots(category(images), scored_by)
    assert most == images - (scored_by == "queries")
    assert "class dent has" in lacks
    assert len(asked) <= 2 * log2(images) + 3


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_tells_on_a_terminal_how_far_it_is(terminal):
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=100)
    with reading_bar(console, "checking the images") as tell:
        for done in range(1, 20_001):
            tell("hashing bolt", done, 20_000)
            end = time.monotonic() + 20  # the bar is drawn ten times a second
            while terminal and done == 7_000 and "7000/20000" not in screen.getvalue() and time.monotonic() < end:
                time.sleep(0.02)
    shown = screen.getvalue()
    if terminal:
        assert "hashing bolt" in shown
        assert "7000/20000" in shown
    else:
        assert shown == ""
