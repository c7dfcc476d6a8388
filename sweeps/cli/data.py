"""`fsamc data`: look at image folders, or make some."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import DataArgument, console, say
from sweeps.request import CacheOption, default_cache

app = typer.Typer(help="Look at image folders, or make some.", no_args_is_help=True)


@app.command("inspect")
def data_inspect(
    data: DataArgument,
    cache: CacheOption = None,
    fit: Annotated[str, typer.Option(help="How images become square: squash, crop or letterbox.")] = "squash",
    size: Annotated[int, typer.Option(help="Side of the network's input, pixels.")] = 224,
    short_side: Annotated[int | None, typer.Option("--resize", help="Short side before a crop, pixels.")] = None,
    json: Annotated[bool, typer.Option("--json", help="An object: folders, shots by category, problems.")] = False,
) -> None:
    """Print categories, classes, counts, image sizes and problems.

    Exit code 1 where a problem is serious.
    """
    from fsamc.config.dotted import validated
    from fsamc.config.features import Features
    from fsamc.data.remote import source
    from sweeps.cli.show import inspect_data

    features = validated(Features, {"fit": fit, "size": size, "resize": short_side}, where="features")
    fine = inspect_data(source(data, "DATA"), features, console, cache=cache or default_cache(), json=json)
    raise typer.Exit(0 if fine else 1)


@app.command("demo")
def data_demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where datasets/ and textures/ are written.")],
) -> None:
    """Generate products, good and defective, and textures.

    A procedural factory: categories in the layout of MVTec AD.
    """
    from fsamc.data.demo_data import write_demo

    write_demo(folder)
    say(f"{folder / 'datasets'}\n{folder / 'textures'}")


@app.command("shrink")
def data_shrink(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Pictures that are too large to be read.")],
) -> None:
    """Make pictures smaller that have too many pixels to be read.

    In place; others are left as they are.
    """
    from fsamc.data.images import image_size, shrink_image

    for path in images:
        text = "made smaller" if shrink_image(path) else "small enough, left as it is"
        say(f"{path}: {text}, {' x '.join(map(str, image_size(path)))}")
