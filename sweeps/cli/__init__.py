"""The command line. Exit codes: 0 done, 1 failed, 2 bad input.

Commands load what they need when they are called: `--help` and a misspelt plan should be told at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from fsamc import __version__
from sweeps.cli import cache, data, demo, doctor, plan, pseudo, results, submit, sweep
from sweeps.cli.classifiers import change, check, export, fit, info, predict, register
from sweeps.cli.exits import end_process, guarded
from sweeps.cli.options import collect_rarely, console, quiet_ray

__all__ = ["app", "collect_rarely", "console", "guarded", "main", "quiet_ray"]

app = typer.Typer(
    help="Names the kind of an industrial defect from one to five examples, and finds the settings that do it best.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,  # frames leave a third of 80 columns for the words
    pretty_exceptions_enable=False,
)
for command in (
    *(sweep.sweep, results.report, results.compare, results.track, results.figures, results.ui),
    *(check.check, fit.fit, predict.predict, change.add, change.remove, change.rename, info.info),
    *(export.export, register.register, demo.demo, doctor.doctor),
):
    app.command()(command)
app.command(context_settings=submit.PASSED_ON, options_metavar="[PLAN] [KEY=VALUE]... [OPTIONS]")(submit.submit)
for name, group in (("data", data), ("plan", plan), ("pseudo", pseudo), ("cache", cache)):
    app.add_typer(group.app, name=name)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"fsamc {__version__}")
        raise typer.Exit


@app.callback()
def whole_command(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def main() -> None:
    """Entry point."""
    collect_rarely()
    end_process(lambda: app(standalone_mode=False, prog_name="fsamc"))
