"""`fsamc pseudo`: look at pseudo-defects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import DataArgument, say
from sweeps.request import TEXTURES, CacheOption, Changes, default_cache

app = typer.Typer(help="Look at pseudo-defects.", no_args_is_help=True)


@app.command("preview")
def pseudo_preview(
    data: DataArgument,
    textures: Annotated[str, typer.Option("--textures", metavar="DIR", help=TEXTURES)],
    out: Annotated[Path, typer.Option("--out", help="Folder for one PNG per category.")],
    plan: Annotated[str, typer.Option(help="Whose settings are shown: a preset's name or a YAML file.")] = "smoke",
    changes: Changes = None,
    cache: CacheOption = None,
    rows: Annotated[int, typer.Option(min=1, help="Pseudo-defects per sheet.")] = 10,
) -> None:
    """Draw pseudo-defects, a sheet per category.

    A line each: the good image with its foreground, the mask, the result.
    """
    from fsamc.data.remote import source
    from sweeps.cli.show import draw_previews

    given = {"data": source(data, "DATA"), "textures": source(textures, "--textures")}
    for sheet in draw_previews(plan, changes or [], **given, cache=cache or default_cache(), out=out, rows=rows):
        say(sheet)
