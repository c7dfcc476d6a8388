"""The demo: procedural products, the `demo` preset, and random weights where ImageNet's cannot be had.

    python -m sweeps.demo [FOLDER]
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import typer

from fsamc.errors import BadInput
from sweeps.cli import console, guarded, quiet_ray


def main() -> None:
    """Write the data, run the sweep anew on what the cache keeps, and say what it shows."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    data, out = _data(folder / "data"), folder / "out"
    if (out / "identity.json").exists():
        console.print(f"{out} holds an earlier demo: starting again, with what {folder / 'cache'} keeps")
        shutil.rmtree(out)
    _say_where_weights_are_missing()
    quiet_ray()
    from sweeps.sweep import Request, run_sweep

    request = Request(
        plan="demo",
        changes=(),
        data=data / "datasets",
        textures=data / "textures",
        out=out,
        cache=folder / "cache",
        random_backbone=True,
    )
    raise typer.Exit(0 if run_sweep(request, console) else 1)


def _data(folder: Path) -> Path:
    """The demo data, there whole or not at all."""
    from fsamc.demo_data import write_demo

    if not folder.exists():
        beside = folder.with_name(f"{folder.name}.part")
        console.print(f"writing three procedural products to {folder}")
        write_demo(beside)
        beside.rename(folder)
    return folder


def _say_where_weights_are_missing() -> None:
    from fsamc.backbone import load_backbone
    from fsamc.config import Features

    try:
        load_backbone(Features(), "cpu")
    except BadInput as error:
        console.print(f"{error}; going on with random weights", soft_wrap=True, highlight=False)


if __name__ == "__main__":
    guarded(main)
