"""The command line. Exit codes: 0 done, 1 failed, 2 bad input."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from fsamc.errors import BadInput
from sweeps.exits import guarded

app = typer.Typer(
    help="Names the kind of an industrial defect from one to five examples, and finds the settings that do it best.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Look at image folders, or make some.", no_args_is_help=True)
plan_app = typer.Typer(help="Look at plans and at every knob.", no_args_is_help=True)
pseudo_app = typer.Typer(help="Look at pseudo-defects.", no_args_is_help=True)
cache_app = typer.Typer(help="Look after the cache.", no_args_is_help=True)
for name, sub in (("data", data_app), ("plan", plan_app), ("pseudo", pseudo_app), ("cache", cache_app)):
    app.add_typer(sub, name=name)

# A pipe has no width; in a log, tables should not be squeezed into 80 columns.
console = Console(width=None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "120")))

Given = TypeVar("Given")

DataArgument = Annotated[Path, typer.Argument(help="Folder with one folder per category, in MVTec layout.")]
TexturesOption = Annotated[
    Path | None, typer.Option("--textures", help="Folder of texture classes, or dtd, which is downloaded.")
]
CacheOption = Annotated[Path | None, typer.Option("--cache", help="Artifacts; the user's cache folder by default.")]
BackboneOption = Annotated[
    str | None, typer.Option("--backbone", help="torchvision ResNet, FILE.pt2, or auto; wins over the plan.")
]
WeightsOption = Annotated[str | None, typer.Option("--weights", help="State dict of a named ResNet.")]
Changes = Annotated[list[str] | None, typer.Argument(help="Changes, such as folds.seeds=[1,2] base.shots=5.")]


class Resume(StrEnum):
    """What to do where OUT holds a sweep already."""

    auto = "auto"
    never = "never"
    must = "must"


@app.command()
def sweep(
    out: Annotated[Path, typer.Option("--out", help="Folder for the results.")],
    plan: Annotated[
        str | None, typer.Argument(help="A preset's name or a YAML file; that of the sweep in OUT by default.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Folder with one folder per category, in MVTec layout; as in OUT by default."),
    ] = None,
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
    from sweeps.interrupts import seconds_of
    from sweeps.recall import Kept, recall
    from sweeps.request import Request
    from sweeps.sweep import run_sweep

    if plan and "=" in plan:  # a change, where the plan was left out
        changes, plan = [plan, *(changes or ())], None
    kept = recall(out) if plan is None or data is None else Kept()
    run_sweep(
        Request(
            plan=_given("PLAN", plan or kept.plan, out),
            changes=tuple(changes or ()),
            data=_given("--data", data or kept.data, out),
            textures=textures or kept.textures,
            out=out,
            cache=cache or kept.cache or _default_cache(),
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


@app.command()
def report(
    out: Annotated[Path, typer.Argument(help="The results' folder of a sweep.")],
    paper: Annotated[bool, typer.Option("--paper", help="Also put our numbers beside the paper's.")] = False,
) -> None:
    """Write report.md, report.html and their plots from what OUT holds."""
    from sweeps.report import write_report
    from sweeps.report.screen import paper_on_screen

    for part in paper_on_screen(out) if paper else ():
        console.print(part)
    page = write_report(out, paper=paper)
    console.print(str(page), soft_wrap=True, highlight=False, markup=False)


@app.command()
def compare(
    outs: Annotated[list[Path], typer.Argument(metavar="OUT1 OUT2 ...", help="The results' folders of sweeps.")],
    page: Annotated[Path | None, typer.Option("--out", help="Also write it to this HTML file.")] = None,
) -> None:
    """Set sweeps side by side: plans, best trials, and whether the second is better than the first."""
    from sweeps.compare import compare_folders

    for part in compare_folders(outs, page):
        console.print(part, soft_wrap=isinstance(part, Text))
    if page is not None:
        console.print(str(page), soft_wrap=True, highlight=False, markup=False)


@app.command()
def track(
    out: Annotated[Path, typer.Argument(help="The results' folder of a sweep.")],
    tracking_uri: Annotated[str | None, typer.Option(help="MLflow tracking URI; the sweep's own by default.")] = None,
) -> None:
    """Deliver to MLflow what OUT holds and MLflow does not have yet. Nothing is logged twice."""
    from sweeps.tracking import runs_at
    from sweeps.tracking import track as deliver

    count = deliver(out, tracking_uri)
    where = tracking_uri or runs_at(out)
    console.print(f"{out}: {count} trials are in MLflow at {where}", soft_wrap=True, highlight=False, markup=False)


@app.command()
def figures(
    out: Annotated[Path, typer.Argument(help="The results' folder of a sweep.")],
    trial: Annotated[int | None, typer.Option(min=0, help="Whose figures; the best trial's by default.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Images, where they are no longer where they were.")
    ] = None,
    textures: TexturesOption = None,
    cache: Annotated[Path | None, typer.Option("--cache", help="Artifacts; those of the sweep by default.")] = None,
) -> None:
    """Draw a trial's figures: per category t-SNE before and after its head, and its pseudo-defects."""
    from sweeps.gallery import redraw

    for file in redraw(out, trial=trial, data=data, textures=textures, cache=cache):
        console.print(str(file), soft_wrap=True, highlight=False, markup=False)


@data_app.command("inspect")
def data_inspect(
    data: DataArgument,
    fit: Annotated[str, typer.Option(help="How images become square: squash, crop or letterbox.")] = "squash",
    size: Annotated[int, typer.Option(help="Side of the network's input, pixels.")] = 224,
    short_side: Annotated[int | None, typer.Option("--resize", help="Short side before a crop, pixels.")] = None,
) -> None:
    """Print categories, classes, counts and image sizes, and every problem found. Exit code 1 for serious ones."""
    from fsamc.config import Features
    from fsamc.config.dotted import validated
    from sweeps.show import inspect_data

    features = validated(Features, {"fit": fit, "size": size, "resize": short_side}, where="features")
    raise typer.Exit(0 if inspect_data(data, features, console) else 1)


@data_app.command("demo")
def data_demo(folder: Annotated[Path, typer.Argument(help="Where datasets/ and textures/ are written.")]) -> None:
    """Write a procedural factory: categories with good and defective products, and textures."""
    from fsamc.demo_data import write_demo

    write_demo(folder)
    console.print(f"{folder / 'datasets'}\n{folder / 'textures'}", soft_wrap=True, highlight=False, markup=False)


@pseudo_app.command("preview")
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
        console.print(str(sheet), soft_wrap=True, highlight=False, markup=False)


@plan_app.command("show")
def plan_show(
    plan: Annotated[str | None, typer.Argument(help="A preset or a file; every knob without one.")] = None,
) -> None:
    """Print a plan as it resolves, or every knob with its default and meaning."""
    from sweeps.plan import load_plan, to_yaml
    from sweeps.show import knob_table

    if plan is None:
        console.print(knob_table())
    else:
        console.print(to_yaml(load_plan(plan)), highlight=False, soft_wrap=True, markup=False, end="")


@plan_app.command("check")
def plan_check(plan: Annotated[str, typer.Argument(help="A YAML file.")], changes: Changes = None) -> None:
    """Say whether a plan can run, and everything that is wrong with it: the key, and its line in the file."""
    from sweeps.plan import load_plan
    from sweeps.search import make_proposer

    loaded = load_plan(plan, changes or [])
    size = f"{make_proposer(loaded).count()} trials, search {loaded.search.algorithm}"
    console.print(f"{plan}: {size}", soft_wrap=True, highlight=False, markup=False)


@plan_app.command("schema")
def plan_schema() -> None:
    """Print the JSON schema of plans, with which editors complete and check them."""
    import json

    from sweeps.schema import plan_schema

    typer.echo(json.dumps(plan_schema(), indent=2))


@cache_app.command("list")
def cache_list(cache: CacheOption = None) -> None:
    """Print what the cache holds, by kind."""
    from sweeps.cache import cache_table

    console.print(cache_table(cache or _default_cache()))


@cache_app.command("prune")
def cache_prune(
    cache: CacheOption = None,
    days: Annotated[float, typer.Option(min=0, help="Keep what was used within so many days.")] = 30.0,
) -> None:
    """Remove artifacts that were not used for a while, and what killed runs left behind."""
    from sweeps.cache import prune_cache

    freed = prune_cache(cache or _default_cache(), days=days)
    console.print(f"freed {freed / 1e6:.0f} MB")


def main() -> None:
    """Entry point."""
    guarded(lambda: app(standalone_mode=False, prog_name="fsamc"))


def _given(name: str, value: Given | None, out: Path) -> Given:
    if value is None:
        raise BadInput(
            f"{name} is missing, and {out} holds no sweep that says it; `fsamc sweep --help` lists what there is"
        )
    return value


def _default_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("fsamc"))


def quiet_ray() -> None:
    """Ray and Tune read these when they are imported: the screen and OUT belong to the sweep."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")
    os.environ.setdefault("RAY_CHDIR_TO_TRIAL_DIR", "0")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("TUNE_GLOBAL_CHECKPOINT_S", "600")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
