"""`fsamc submit`, and `fsamc jobs`: sweeps as jobs on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from fsamc.errors import BadInput
from sweeps.cli.options import console, say
from sweeps.cli.sweep import sweep
from sweeps.errors import Unfinished

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from sweeps.jobs.job_arguments import Asked

Told = TypeVar("Told")

app = typer.Typer(help="Look at sweeps that were submitted to a cluster, or stop them.", no_args_is_help=True)
PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}

AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="http://HOST:8265 of the head; RAY_API_SERVER_ADDRESS by default."),
]
JobArgument = Annotated[str, typer.Argument(metavar="ID", help="As `fsamc jobs list` shows it.")]


def submit(
    context: typer.Context,
    address: AddressOption = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the log, and exit as the sweep does.")] = True,
    name: Annotated[str | None, typer.Option("--name", help="In the job's id; the plan's name by default.")] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the `ray job submit` line, and submit nothing.")
    ] = False,
) -> None:
    """Run a sweep as a job on a Ray cluster: PLAN, changes and options as `fsamc sweep` takes them.

    --data, --textures, --out and --cache are places on the cluster: absolute paths that all its nodes see. The plan,
    and a --backbone or --weights with a relative path, are files here; they are sent with this code, up to 100 MiB.

    The exit code is the sweep's. Ctrl-C leaves the job running, and exits with 1. A stopped job finishes its running
    folds and writes its tables, for up to 15 minutes.
    """
    from cluster.jobs.job_server import connect, job_server
    from sweeps.jobs.job_arguments import prepare_sending

    asked = _asked(context.args)
    where = job_server(address)
    sending = prepare_sending(asked)
    if print_only:
        say(sending.job().line(where))
        return
    client = connect(where)
    job, submission_id = sending.job(), sending.new_id(name)
    pure = wait and "--json" in asked.options
    typer.echo(job.line(where), err=pure)
    _on_server(lambda: job.submit(client, submission_id))
    typer.echo(submission_id, err=pure)
    if wait:
        raise typer.Exit(_followed(client, submission_id, pure=pure))


@app.command("list")
def jobs_list(
    address: AddressOption = None,
    everybodys: Annotated[bool, typer.Option("--all", help="Also jobs that are no sweeps.")] = False,
) -> None:
    """List the sweeps that the cluster knows, the newest first."""
    from cluster.jobs.job_server import connect
    from cluster.jobs.submit import jobs
    from sweeps.jobs.job_view import job_table

    client = connect(address)
    console.print(job_table(_on_server(lambda: jobs(client, everybodys=everybodys))))


@app.command("logs")
def jobs_logs(
    job: JobArgument,
    address: AddressOption = None,
    follow: Annotated[bool, typer.Option("--follow", help="Until it ends; the exit code is the sweep's.")] = False,
) -> None:
    """Print what a job has said."""
    from cluster.jobs.job_server import connect
    from cluster.jobs.submit import find

    client = connect(address)
    found = _on_server(lambda: find(client, job))
    if follow:
        raise typer.Exit(_followed(client, job))
    if found.driver_agent_http_address is not None:  # else it has not begun
        typer.echo(_on_server(lambda: client.get_job_logs(job)), nl=False)


@app.command("stop")
def jobs_stop(
    job: JobArgument,
    address: AddressOption = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Until it has ended.")] = True,
) -> None:
    """Stop a job in good order: it finishes the folds that run and writes its tables, for up to 15 minutes."""
    from cluster.jobs.follow import follow
    from cluster.jobs.job_server import connect
    from cluster.jobs.submit import find

    client = connect(address)
    found = _on_server(lambda: find(client, job))
    if found.status.is_terminal():
        say(f"{job} has ended already: {found.status.value.lower()}")
        return
    _on_server(lambda: client.stop_job(job))
    if wait:
        found = _on_server(lambda: follow(client, job, lambda _: None))
        say(f"{job} has ended: {found.status.value.lower()}; what is finished is kept")
    else:
        say(f"{job} ends when the folds that run are finished")


def _on_server(call: Callable[[], Told]) -> Told:
    """What the job server says. Raises Unfinished, in one line, where it has a trouble of its own."""
    from ray.exceptions import RayError

    try:
        return call()
    except (OSError, RuntimeError, RayError) as error:
        raise Unfinished(f"the job server: {' '.join(str(error).split())[:300]}") from None


def _asked(words: Sequence[str]) -> Asked:
    """The words as `fsamc sweep` takes them, checked by its own parser. Raises what that raises."""
    from sweeps.jobs.job_arguments import Asked

    alone = typer.Typer(add_completion=False)
    alone.command()(sweep)
    command = typer.main.get_command(alone)
    context = command.make_context("fsamc sweep", list(words))
    given: dict[str, Any] = command.make_parser(context).parse_args(list(words))[0]
    plan, changes = context.params["plan"], tuple(context.params["changes"] or ())
    if plan and "=" in plan:  # a change, where the plan was left out
        plan, changes = None, (plan, *changes)
    if "address" in given:
        raise BadInput("--address is given twice; leave one out")
    options = [_word(option, given[option.name]) for option in command.params if option.name in given]
    return Asked(plan=plan, changes=changes, options=dict(found for found in options if found))


def _word(option: Any, value: Any) -> tuple[str, str | None] | None:
    """An option as it is written: its name, and its word, if it takes one."""
    if option.param_type_name != "option":
        return None
    if not option.is_flag:
        return option.opts[0], value
    return (option.opts if value else option.secondary_opts)[0], None


def _followed(client: JobSubmissionClient, job: str, *, pure: bool = False) -> int:
    """Show a job's log until it ends; the sweep's exit code. Raises Unfinished where that does not say it all.

    `pure`: whether only JSON may come to stdout.
    """
    from cluster.jobs.follow import follow
    from cluster.jobs.submit import outcome
    from sweeps.jobs.job_view import Log

    look = f"`fsamc jobs logs {job} --follow` shows it, `fsamc jobs stop {job}` stops it"
    try:
        ended = follow(client, job, Log(pure=pure))
    except KeyboardInterrupt:
        raise Unfinished(f"{job} goes on; {look}") from None
    except ConnectionError as error:
        raise Unfinished(f"the job server is gone ({error}); {job} may go on: {look}") from None
    code, line = outcome(ended)
    if line:
        raise Unfinished(line)
    return code
