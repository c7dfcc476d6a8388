"""Commands on the results of sweeps: `fsamc report`, `compare`, `track`, `figures`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sweeps.cli.options import console, say
from sweeps.request import TexturesOption


class Published(StrEnum):
    """Published accuracies that ours can stand beside."""

    PAPER = "paper"
    MVREC = "mvrec"


def report(
    out: Annotated[Path, typer.Argument(help="The results' folder of a sweep.")],
    paper: Annotated[bool, typer.Option("--paper", help="The same as --against paper.")] = False,
    against: Annotated[
        list[Published] | None, typer.Option(help="Also put our numbers beside published ones, the paper's or MVREC's.")
    ] = None,
) -> None:
    """Write report.md, report.html and their plots from what OUT holds."""
    from sweeps.report.write import published_on_screen, write_report

    names = list(dict.fromkeys([*([Published.PAPER] if paper else []), *(against or [])]))
    for part in published_on_screen(out, names) if names else ():
        console.print(part)
    page = write_report(out, against=names)
    say(page)


def compare(
    outs: Annotated[list[Path], typer.Argument(metavar="OUT1 OUT2 ...", help="The results' folders of sweeps.")],
    page: Annotated[Path | None, typer.Option("--out", help="Also write it to this HTML file.")] = None,
) -> None:
    """Set sweeps side by side: plans, best trials, and whether the second is better than the first."""
    from sweeps.compare import compare_folders

    for part in compare_folders(outs, page):
        console.print(part, soft_wrap=isinstance(part, Text))
    if page is not None:
        say(page)


def track(
    out: Annotated[Path, typer.Argument(help="The results' folder of a sweep.")],
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI; the sweep's own by default.")] = None,
) -> None:
    """Deliver to MLflow what OUT holds and MLflow does not have yet. Nothing is logged twice."""
    from fsamc.counting import counted
    from fsamc.data.credentials import hide_secrets
    from sweeps.tracking import runs_at
    from sweeps.tracking import track as deliver

    count = deliver(out, tracking_uri)
    where = hide_secrets(tracking_uri or runs_at(out))
    say(f"{out}: {counted(count, 'trial', 'are')} in MLflow at {where}")


def figures(
    out: Annotated[Path, typer.Argument(help="The results' folder of a sweep.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Whose figures; the best trial's by default.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Images, where they are no longer where they were.")
    ] = None,
    textures: TexturesOption = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Artifacts; those of the sweep by default.")] = None,
) -> None:
    """Draw a trial's figures: per category t-SNE before and after its head, and its pseudo-defects."""
    from fsamc.data.remote import source
    from sweeps.figures.sweep_figures import redraw

    images = source(data, "--data") if data else None
    pictures = source(textures, "--textures") if textures else None
    for file in redraw(out, trial=trial, data=images, textures=pictures, cache=cache):
        say(file)
