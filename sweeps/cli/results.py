"""Commands on the results of sweeps: `fsamc report`, `compare`, `track`, `figures`, `ui`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import say, show
from sweeps.request import TexturesOption

COMPARED = (
    "The results' folder of a sweep, which stands for its best trial, or one of its trials: results@3. "
    "A study in a shared storage is compared by the folders of its sweeps."
)


class Published(StrEnum):
    """Published accuracies that ours can stand beside."""

    PAPER = "paper"
    MVREC = "mvrec"


def report(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The results' folder of a sweep.")],
    paper: Annotated[bool, typer.Option("--paper", help="The same as --against paper.")] = False,
    against: Annotated[
        list[Published] | None, typer.Option(help="Also put our numbers beside published ones, the paper's or MVREC's.")
    ] = None,
    answers: Annotated[
        int, typer.Option(min=0, help="Wrong, and unsure, answers of each category that the gallery shows.")
    ] = 4,
    data: Annotated[
        str | None, typer.Option("--data", help="Images, where they are no longer where they were.")
    ] = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Artifacts; those of the sweep by default.")] = None,
) -> None:
    """Write the report and its gallery from what OUT holds.

    report.md, report.html, gallery.html and their plots.
    """
    from fsamc.data.remote import source
    from sweeps.report.gallery.gallery_settings import GallerySettings
    from sweeps.report.write import published_on_screen, write_report

    names = list(dict.fromkeys([*([Published.PAPER] if paper else []), *(against or [])]))
    for part in published_on_screen(out, names) if names else ():
        show(part)
    images = source(data, "--data") if data else None
    page = write_report(out, against=names, shown=GallerySettings(answers=answers), data=images, cache=cache)
    say(page)


def compare(
    outs: Annotated[list[Path], typer.Argument(metavar="OUT1[@TRIAL] OUT2[@TRIAL] ...", help=COMPARED)],
    page: Annotated[Path | None, typer.Option("--out", help="Also write it to this HTML file.")] = None,
    json: Annotated[bool, typer.Option("--json", help="An object: the trials, their differences, warnings.")] = False,
) -> None:
    """Set sweeps or trials side by side, and say which is better.

    Their plans, their data, the trials' settings and scores, and how sure the difference is.
    """
    from json import dumps

    from sweeps.compare import compare_folders, compared_as_json

    if json:
        typer.echo(dumps(compared_as_json(outs, page), indent=2))
        return
    for part in compare_folders(outs, page):
        show(part)
    if page is not None:
        say(page)


def track(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The results' folder of a sweep.")],
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI; the sweep's own by default.")] = None,
) -> None:
    """Deliver to MLflow what OUT holds and MLflow lacks.

    Trials, report, and the classifiers of `sweep --fit`. Nothing is logged twice.
    """
    from fsamc.counting import counted
    from fsamc.data.credentials import hide_secrets
    from sweeps.registry.sweep_models import register_classifiers
    from sweeps.tracking import runs_at
    from sweeps.tracking import track as deliver

    count = deliver(out, tracking_uri)
    where = tracking_uri or runs_at(out)
    say(f"{out}: {counted(count, 'trial', 'are')} in MLflow at {hide_secrets(where)}")
    for line in register_classifiers(out, where):
        say(line)


def figures(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The results' folder of a sweep.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Whose figures; the best trial's by default.")] = None,
    data: Annotated[
        str | None, typer.Option("--data", help="Images, where they are no longer where they were.")
    ] = None,
    textures: TexturesOption = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Artifacts; those of the sweep by default.")] = None,
) -> None:
    """Draw a trial's figures: t-SNE, and pseudo-defects.

    Per category: support and queries before and after the trial's head, and a sheet of the pseudo-defects.
    """
    from fsamc.data.remote import source
    from sweeps.figures.sweep_figures import redraw

    images = source(data, "--data") if data else None
    pictures = source(textures, "--textures") if textures else None
    for file in redraw(out, trial=trial, data=images, textures=pictures, cache=cache):
        say(file)


def ui(
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="The results' folder of a sweep; the demo's by default.")
    ] = Path("demo/out"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Of this machine.")] = 5000,
) -> None:
    """Show a sweep's runs in MLflow, until Ctrl-C.

    MLflow is served on this machine only. Of a sweep that is tracked on a server, print the address of its runs there.
    """
    from sweeps.tracking.pages import runs_page, serve
    from sweeps.tracking.uri import is_server

    uri, page = runs_page(out)
    if is_server(uri):
        say(f"runs: {uri.rstrip('/')}{page}")
        return
    serve(uri, port, lambda: say(f"runs: http://127.0.0.1:{port}{page}"))
