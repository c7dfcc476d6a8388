"""Table of a final on a screen: the finalists by category, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from sweeps.finals.final_tables import FinalScores


def final_table(final: FinalScores, labels: Mapping[int, str]) -> Table:
    """Make a table of the finalists, the best by the search first; `labels` are their configurations in words."""
    caption = "accuracy in % on images that had no say, with 95 % intervals; points to the base"
    table = Table(title=Text("final", style="italic"), title_justify="left", caption=caption)
    for name, side in (("trial", "right"), ("configuration", "left"), ("final", "right"), ("to the base", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for trial in final.trials:
        if number := final.of(trial):
            table.add_row(str(trial), Text(labels.get(trial, "")), number.words.replace(" %", ""), number.ahead)
    return table
