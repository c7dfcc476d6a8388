"""The demo: procedural products and the `demo` preset.

`python -m sweeps.cli.demo [key=value ...]` puts all of it into the folder `demo`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from fsamc.data.demo_data import write_demo
from sweeps.cli import console, guarded, quiet_ray


def main() -> None:
    """Write the data, run the sweep anew on what the cache keeps, and say what it shows."""
    data, out, cache = _data(Path("demo/data")), Path("demo/out"), Path("demo/cache")
    if out.exists():
        console.print(f"{out} holds an earlier demo: starting again, with what {cache} keeps")
        shutil.rmtree(out)
    quiet_ray()
    from sweeps.request import Request
    from sweeps.sweep import run_sweep

    request = Request(
        plan="demo",
        changes=sys.argv[1:],
        data=str(data / "datasets"),
        textures=str(data / "textures"),
        out=out,
        cache=cache,
    )
    run_sweep(request, console)


def _data(folder: Path) -> Path:
    """Return the folder of the demo data, which is there whole or not at all."""
    if not folder.exists():
        beside = folder.with_name(f"{folder.name}.part")
        console.print(f"writing three procedural products to {folder}")
        write_demo(beside)
        beside.rename(folder)
    return folder


if __name__ == "__main__":
    guarded(main)
