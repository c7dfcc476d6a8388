"""`fsamc doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from sweeps.cli.options import console, quiet_ray
from sweeps.request import BackboneOption, CacheOption, TexturesOption, WeightsOption, default_cache

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
    """Look at packages, machine, cluster, MLflow and files, and say what would stop a sweep and how to mend it.

    Exit code 1 if there is a problem. What is not given is not looked at.
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
        table = Table("what", "", "found, and the mend", box=None, pad_edge=False)
        for check in checks:
            text = Text(check.finding)
            if check.mend:
                text.append(f"\n{check.mend}", style="dim")
            table.add_row(Text(check.subject), Text(check.level, style=_STYLES[check.level]), text)
        console.print(table)
        problems = sum(check.level == "problem" for check in checks)
        console.print(f"problems: {problems}, warnings: {sum(check.level == 'warning' for check in checks)}")
    raise typer.Exit(1 if any(check.level == "problem" for check in checks) else 0)
