"""`fsamc plan`: look at plans and at every knob."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.table import Table

from sweeps.cli.options import console, say, show_table
from sweeps.plan.presets import preset_names
from sweeps.request import Changes

app = typer.Typer(help="Look at plans and at every knob.", no_args_is_help=True)


@app.command("show")
def plan_show(
    plan: Annotated[
        str | None,
        typer.Argument(
            metavar="PLAN", help="A preset's name or a YAML file; every knob without one.", autocompletion=preset_names
        ),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="The plan as an object, or a list of key, default, meaning.")
    ] = False,
) -> None:
    """Print a plan as it resolves, or every knob and its meaning."""
    from sweeps.cli.show import knob_line, knob_table, plan_as_json
    from sweeps.plan.keys import knobs
    from sweeps.plan.load import load_plan, to_yaml

    if json:
        typer.echo(plan_as_json(plan))
    elif plan is None:
        show_table(knob_table(), map(knob_line, knobs()))
    else:
        loaded = load_plan(plan)
        text = "".join(f"# {note}\n" for note in loaded.notes) + to_yaml(loaded)
        console.print(text, highlight=False, soft_wrap=True, markup=False, end="")


@app.command("list")
def plan_list(
    json: Annotated[bool, typer.Option("--json", help="A list of objects: name, about.")] = False,
) -> None:
    """Print the presets, which are plans that come with fsamc."""
    from json import dumps

    from sweeps.plan.presets import presets

    if json:
        typer.echo(dumps([preset._asdict() for preset in presets()], indent=2))
        return
    table = Table.grid(padding=(0, 2))
    for preset in presets():
        table.add_row(preset.name, preset.about)
    show_table(table)


@app.command("check")
def plan_check(
    plan: Annotated[
        str, typer.Argument(metavar="PLAN", help="A preset's name or a YAML file.", autocompletion=preset_names)
    ],
    changes: Changes = None,
) -> None:
    """Say whether a plan can run, and everything that is wrong.

    What is wrong is told by its key and its line in the file.
    """
    from fsamc.counting import counted
    from sweeps.plan.load import load_plan
    from sweeps.search import make_proposer

    loaded = load_plan(plan, changes or [])
    for note in loaded.notes:
        say(note)
    size = f"{counted(make_proposer(loaded).count(), 'trial')}, search {loaded.search.algorithm}"
    say(f"{plan}: {size}")


@app.command("schema")
def plan_schema() -> None:
    """Print the JSON schema of plans, for editors.

    With it they complete and check plans.
    """
    import json

    from sweeps.plan.schema import plan_schema

    typer.echo(json.dumps(plan_schema(), indent=2))
