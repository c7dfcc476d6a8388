"""`fsamc cache`: look after the cache."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sweeps.cli.options import console, say, show_table
from sweeps.environment import printable
from sweeps.request import CacheOption, default_cache

app = typer.Typer(help="Look after the cache.", no_args_is_help=True)


@app.command("list")
def cache_list(
    cache: CacheOption = None,
    json: Annotated[bool, typer.Option("--json", help="A list of objects: kind, number, bytes.")] = False,
) -> None:
    """Print what the cache holds, by kind."""
    from json import dumps

    from sweeps.checks.disk import check_cache_readable
    from sweeps.cli.cache_care import cache_table, kinds_in

    folder = cache or default_cache()
    check_cache_readable(folder)
    if json:
        typer.echo(dumps([kind._asdict() for kind in kinds_in(folder)], indent=2))
    else:
        table = cache_table(folder)
        say(folder)
        show_table(table)
    _tell_of_others(folder)


@app.command("prune")
def cache_prune(
    cache: CacheOption = None,
    days: Annotated[float, typer.Option(min=0, help="Keep what was used within so many days.")] = 30.0,
) -> None:
    """Remove artifacts that were not used for a while.

    And what killed runs left behind.
    """
    from sweeps.checks.disk import check_cache_readable
    from sweeps.cli.cache_care import prune_cache

    folder = cache or default_cache()
    check_cache_readable(folder)
    freed = prune_cache(folder, days=days)
    console.print(f"freed {freed / 1e6:.0f} MB")
    _tell_of_others(folder)


def _tell_of_others(cache: Path) -> None:
    """Name on stderr what the cache holds beside artifacts."""
    from sweeps.cli.cache_care import passed_over

    for line in passed_over(cache):
        typer.echo(printable(line), err=True)
