"""`fsamc doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sweeps.cli.options import console, quiet_ray, show_table
from sweeps.request import BackboneOption, CacheOption, TexturesOption, WeightsOption, default_cache

if TYPE_CHECKING:
    from sweeps.doctor import Check

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    data: Annotated[str | None, typer.Option("--data", metavar="DATA", help="Images, or their address.")] = None,
    textures: TexturesOption = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for results.")] = None,
    cache: CacheOption = None,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster, whose every node is asked.")] = None,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI.")] = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    json: Annotated[bool, typer.Option("--json", help="A list of objects: subject, level, found, mend.")] = False,
) -> None:
    """Say what would stop a sweep here, and how to mend it.

    Looks at packages, machine, cluster, MLflow and files; what is not given is not looked at. Exit code 1 if there is a
    problem.
    """
    quiet_ray()
    from json import dumps

    from fsamc.data.remote import source
    from sweeps.doctor import DoctorOptions, run_examinations

    options = DoctorOptions(
        data=source(data, "--data") if data else None,
        textures=source(textures, "--textures") if textures else None,
        out=out,
        cache=cache or default_cache(),
        address=address,
        tracking_uri=tracking_uri,
        backbone=backbone,
        weights=weights,
    )
    with console.status("looking"):
        checks = list(run_examinations(options))
    if json:
        rows = [{"subject": c.subject, "level": c.level, "found": c.finding, "mend": c.mend} for c in checks]
        typer.echo(dumps(rows, indent=2))
    else:
        show_checks(checks, console)
        problems = sum(check.level == "problem" for check in checks)
        console.print(f"problems: {problems}, warnings: {sum(check.level == 'warning' for check in checks)}")
    raise typer.Exit(1 if any(check.level == "problem" for check in checks) else 0)


def show_checks(checks: Sequence[Check], screen: Console) -> None:
    """Print a table of the findings, or where that is too wide one below the other."""
    cells = [(Text(check.subject), Text(check.level, style=_STYLES[check.level]), _finding(check)) for check in checks]
    table = Table(box=None, pad_edge=False)
    for name in ("what", ""):
        table.add_column(name, no_wrap=True)
    table.add_column("found, and the mend")
    for row in cells:
        table.add_row(*row)
    rows = (Text.assemble(level, " ", subject, "\n", finding, "\n") for subject, level, finding in cells)
    show_table(table, rows, screen)


def _finding(check: Check) -> Text:
    return Text.assemble(check.finding, (f"\n{check.mend}" if check.mend else "", "dim"))
