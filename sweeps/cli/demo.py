"""`fsamc demo`: procedural products and the `demo` preset."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import console, quiet_ray, say
from sweeps.request import Changes


def demo(
    changes: Changes = None,
    folder: Annotated[Path, typer.Option("--folder", help="For data, results and cache.")] = Path("demo"),
) -> None:
    """Generate products, and sweep the preset `demo` on them.

    Some minutes on two cores; `fsamc ui` shows the runs. A second demo starts again, with what FOLDER/cache keeps.
    """
    quiet_ray()
    from sweeps.request import Request
    from sweeps.results.identity import IDENTITY
    from sweeps.sweep import run_sweep

    data, out, cache = _data(folder / "data"), folder / "out", folder / "cache"
    if (out / IDENTITY).exists():
        say(f"{out} holds an earlier demo: starting again, with what {cache} keeps")
        shutil.rmtree(out)
    request = Request(
        plan="demo",
        changes=changes,
        data=str(data / "datasets"),
        textures=str(data / "textures"),
        out=out,
        cache=cache,
    )
    run_sweep(request, console)


def _data(folder: Path) -> Path:
    """Return the folder of the demo data, which is there whole or not at all."""
    from fsamc.data.demo_data import write_demo

    if not folder.exists():
        beside = folder.with_name(f"{folder.name}.part")
        say(f"writing three procedural products to {folder}")
        write_demo(beside)
        beside.rename(folder)
    return folder
