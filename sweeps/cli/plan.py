"""`fsamc plan`: look at plans and at every knob."""

from __future__ import annotations

from typing import Annotated

import typer

from sweeps.cli.options import console, say
from sweeps.request import Changes

app = typer.Typer(help="Look at plans and at every knob.", no_args_is_help=True)


@app.command("show")
def plan_show(
    plan: Annotated[str | None, typer.Argument(help="A preset or a file; every knob without one.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="The plan as an object, or a list of key, default, meaning.")
    ] = False,
) -> None:
    """Print a plan as it resolves, or every knob with its default and meaning."""
    from sweeps.cli.show import knob_table, plan_as_json
    from sweeps.plan.load import load_plan, to_yaml

    if json:
        typer.echo(plan_as_json(plan))
    elif plan is None:
        console.print(knob_table())
    else:
        loaded = load_plan(plan)
        text = "".join(f"# {note}\n" for note in loaded.notes) + to_yaml(loaded)
        console.print(text, highlight=False, soft_wrap=True, markup=False, end="")


@app.command("check")
def plan_check(plan: Annotated[str, typer.Argument(help="A YAML file.")], changes: Changes = None) -> None:
    """Say whether a plan can run, and everything that is wrong with it: the key, and its line in the file."""
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
    """Print the JSON schema of plans, with which editors complete and check them."""
    import json

    from sweeps.plan.schema import plan_schema

    typer.echo(json.dumps(plan_schema(), indent=2))
