"""`fsamc pseudo`: look at pseudo-defects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import Changes, DataArgument, say

app = typer.Typer(help="Look at pseudo-defects.", no_args_is_help=True)


@app.command("preview")
def pseudo_preview(
    data: DataArgument,
    textures: Annotated[
        Path, typer.Option("--textures", help="Folder of texture classes, or dtd, which is downloaded.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for one PNG per category.")],
    plan: Annotated[str, typer.Option(help="Whose settings are shown: a preset's name or a YAML file.")] = "smoke",
    changes: Changes = None,
    rows: Annotated[int, typer.Option(min=1, help="Pseudo-defects per sheet.")] = 10,
) -> None:
    """Draw pseudo-defects: good image with its foreground, mask, result."""
    from sweeps.show import draw_previews

    for sheet in draw_previews(plan, changes or [], data=data, textures=textures, out=out, rows=rows):
        say(sheet)
