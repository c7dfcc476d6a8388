"""Every number is whole at every width, however many categories there are, and names are shown as they are."""

from __future__ import annotations

import io

import pandas as pd
import pytest

from sweeps.cli.options import SafeConsole
from sweeps.progress.summary_table import SummaryTable

NAMES = [f"category_{number:02}" for number in range(20)]


def summary(names: list[str]) -> pd.DataFrame:
    rows = [
        {"trial": trial, "category": name, "mean": 0.5 + trial / 10 + place / 1000, "std": 0.012}
        for trial in (0, 1)
        for place, name in enumerate([*names, "average"])
    ]
    return pd.DataFrame(rows)


def shown(names: list[str], width: int, *, title: str = "sweep", labels: dict[int, str] | None = None) -> str:
    screen = io.StringIO()
    labels = labels or {0: "head.kind=prototype", 1: "pretrain.stop_threshold=0.4, head.kind=contrastive"}
    SafeConsole(file=screen, width=width, markup=False).print(SummaryTable(summary(names), labels, title=title))
    return screen.getvalue()


@pytest.mark.parametrize("width", [80, 120, 1000])
def test_twenty_categories_are_whole_at_every_width(width):
    text = shown(NAMES, width)
    assert "…" not in text
    for place, name in enumerate(NAMES):
        assert f" {name} " in text
        assert f"{50 + place / 10:.1f} ± 1.2" in text
        assert f"{60 + place / 10:.1f} ± 1.2 *" in text
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize(("count", "width", "tables"), [(1, 80, 1), (20, 1000, 1), (20, 80, 20)])
def test_there_are_as_many_tables_as_it_takes(count, width, tables):
    assert 1 <= shown(NAMES[:count], width).count("configuration") <= tables
    if tables == 20:
        assert shown(NAMES[:count], width).count("configuration") > 1


def test_names_are_neither_markup_nor_commands_of_the_terminal():
    text = shown(["[red]a[/red]", "b"], 120, title="[bold]x\x1b[31m", labels={0: "[dim]", 1: "y\x1b]0;z\x07"})
    assert "[red]a[/red]" in text
    assert r"[bold]x\x1b[31m" in text
    assert "[dim]" in text
    assert "\x1b" not in text
    assert "\x07" not in text


def test_of_many_trials_the_best_are_shown_and_the_others_are_counted():
    rows = [
        {"trial": trial, "category": name, "mean": (trial * 7 % 60) / 100, "std": 0.012}
        for trial in range(60)
        for name in ("pcb", "average")
    ]
    screen = io.StringIO()
    table = SummaryTable(pd.DataFrame(rows), {trial: f"knob {trial}." for trial in range(60)}, title="sweep")
    SafeConsole(file=screen, width=100, markup=False).print(table)
    best = {trial for trial in range(60) if trial * 7 % 60 >= 10}
    assert {trial for trial in range(60) if f" knob {trial}. " in screen.getvalue()} == best
    assert "10 further trials are in summary.csv" in " ".join(screen.getvalue().split())
