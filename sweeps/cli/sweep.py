"""`fsamc sweep`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fsamc.errors import BadInput
from sweeps.cli.options import (
    BackboneOption,
    CacheOption,
    Changes,
    DataOption,
    TexturesOption,
    WeightsOption,
    console,
    default_cache,
    quiet_ray,
)


class Resume(StrEnum):
    """What to do where OUT holds a sweep already."""

    auto = "auto"
    never = "never"
    must = "must"


def sweep(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    plan: Annotated[
        str | None, typer.Argument(help="A preset's name or a YAML file; that of the sweep in OUT by default.")
    ] = None,
    data: DataOption = None,
    changes: Changes = None,
    textures: TexturesOption = None,
    backbone: BackboneOption = None,
    weights: WeightsOption = None,
    cache: CacheOption = None,
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI; OUT/mlflow.db by default.")] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Do without MLflow; `fsamc track OUT` delivers everything later.")
    ] = False,
    address: Annotated[str | None, typer.Option(help="A running Ray cluster; an embedded one by default.")] = None,
    resume: Annotated[Resume, typer.Option(help="Continue the sweep in OUT: auto, never, or must.")] = Resume.auto,
    reuse: Annotated[bool, typer.Option("--reuse/--no-reuse", help="Take finished folds from other sweeps.")] = True,
    figures: Annotated[
        bool, typer.Option("--figures/--no-figures", help="Draw the best trial's figures at the end.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the size and the estimated cost, stop.")
    ] = False,
    extend: Annotated[int | None, typer.Option("--extend", min=1, help="Trials more for the sweep in OUT.")] = None,
    time_budget: Annotated[
        str | None,
        typer.Option("--time-budget", help="After 2h, 30m, 1h30m or so many seconds start no more folds."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="The final table, and what went wrong.")] = False,
    json: Annotated[bool, typer.Option("--json", help="A JSON object per line: what happens when it happens.")] = False,
) -> None:
    """Run a plan: score configurations on every fold, and write tables, an MLflow experiment and a report.

    Where OUT holds a sweep, PLAN and --data may be left out: the sweep there goes on, on what it ran on.
    """
    if json and (quiet or dry_run):
        raise BadInput(f"--json and {'--quiet' if quiet else '--dry-run'} exclude each other; leave one out")
    quiet_ray()
    from fsamc.data.remote import source
    from sweeps.request import Request
    from sweeps.results.saved_settings import SavedSettings, read_saved_settings
    from sweeps.sweep import run_sweep
    from sweeps.trials.interrupts import seconds_of

    if plan and "=" in plan:  # a change, where the plan was left out
        changes, plan = [plan, *(changes or ())], None
    kept = read_saved_settings(out) if plan is None or data is None else SavedSettings()
    asked = plan or kept.plan
    images = source(data, "--data") if data else kept.data
    if asked is None or images is None:
        raise _missing("PLAN" if asked is None else "--data", out)
    run_sweep(
        Request(
            plan=asked,
            changes=tuple(changes or ()),
            data=images,
            textures=source(textures, "--textures") if textures else kept.textures,
            out=out,
            cache=cache or kept.cache or default_cache(),
            backbone=backbone,
            weights=weights,
            tracking_uri=tracking_uri or kept.tracking_uri,
            offline=offline,
            address=address,
            resume=resume.value,
            reuse=reuse,
            figures=figures,
            dry_run=dry_run,
            extend=extend or 0,
            time_budget=seconds_of(time_budget) if time_budget else None,
            view="json" if json else "quiet" if quiet else "screen",
        ),
        console,
    )


def _missing(name: str, out: Path) -> BadInput:
    return BadInput(
        f"{name} is missing, and {out} holds no sweep that says it; `fsamc sweep --help` lists what there is"
    )
