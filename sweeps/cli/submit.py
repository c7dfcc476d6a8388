"""`fsamc submit`: a sweep as a job on a Ray cluster."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from fsamc.errors import BadInput
from sweeps.cli.options import say
from sweeps.cli.sweep import sweep
from sweeps.errors import Unfinished
from sweeps.request import Request

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

    from sweeps.jobs.job_arguments import SweepWords

Answer = TypeVar("Answer")

PASSED_ON = {"allow_extra_args": True, "ignore_unknown_options": True}


def submit(
    context: typer.Context,
    address: Annotated[
        str | None,
        typer.Option("--address", help="http://HOST:8265 of the head; RAY_API_SERVER_ADDRESS by default."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Show the log, and exit as the sweep does.")] = True,
    name: Annotated[str | None, typer.Option("--name", help="In the job's id; the plan's name by default.")] = None,
    print_only: Annotated[
        bool, typer.Option("--print", help="Print the `ray job submit` line, and submit nothing.")
    ] = False,
) -> None:
    """Run a sweep as a job on a Ray cluster.

    PLAN, changes and options are those of `fsamc sweep`.

    --data, --textures, --out and --cache are places on the cluster: absolute paths that all its nodes see. The plan,
    and a --backbone or --weights with a relative path, are files here; they are sent with this code, up to 100 MiB.

    The exit code is the sweep's. Ctrl-C leaves the job running, and exits with 1. `ray job` looks after the job; the
    lines for its log and for stopping it are printed. A stopped job finishes its running folds and writes its tables,
    for up to 15 minutes.
    """
    from cluster.jobs.job_server import connect, job_server
    from cluster.jobs.submit import next_lines
    from sweeps.jobs.job_arguments import prepare_job

    words = _sweep_words(context.args)
    server = job_server(address)
    arguments = prepare_job(words)
    if print_only:
        say(arguments.job().line(server))
        return
    client = connect(server, deadline=arguments.deadline)
    job, submission_id = arguments.job(), arguments.new_id(name)
    json_only = wait and "--json" in words.options
    typer.echo(job.line(server), err=json_only)
    _on_server(lambda: job.submit(client, submission_id))
    lines = next_lines(server, submission_id)
    typer.echo("\n".join((submission_id, *lines)), err=json_only)
    if wait:
        write = JsonToStdout() if json_only else lambda piece: print(piece, end="", flush=True)
        raise typer.Exit(_follow(client, submission_id, write, f"`{lines[0]}` shows it, `{lines[1]}` stops it"))


class JsonToStdout:
    """Writer of a job's log, which holds stdout and stderr: lines of JSON go to stdout, all others to stderr."""

    def __init__(self) -> None:
        self._torn = ""

    def __call__(self, piece: str) -> None:
        """Print the lines that are whole with this piece."""
        *lines, self._torn = f"{self._torn}{piece}".split("\n")
        for line in lines:
            print(line, file=sys.stdout if line.startswith("{") else sys.stderr, flush=True)


def _sweep_words(words: Sequence[str]) -> SweepWords:
    """Parse the words with the parser of `fsamc sweep`. Raises what that raises."""
    from sweeps.jobs.job_arguments import SweepWords

    alone = typer.Typer(add_completion=False)
    alone.command()(sweep)
    command = typer.main.get_command(alone)
    context = command.make_context("fsamc sweep", list(words))
    values: dict[str, Any] = command.make_parser(context).parse_args(list(words))[0]
    request = Request(**context.params)
    if "address" in values:
        raise BadInput("--address is given twice; leave one out")
    options = [_word(option, values[option.name]) for option in command.params if option.name in values]
    return SweepWords(plan=request.plan, changes=tuple(request.changes or ()), options=dict(filter(None, options)))


def _word(option: Any, value: Any) -> tuple[str, str | None] | None:
    """Return an option as it is written: its name, and its word, if it takes one."""
    if option.param_type_name != "option":
        return None
    if not option.is_flag:
        return option.opts[0], value
    return (option.opts if value else option.secondary_opts)[0], None


def _on_server(call: Callable[[], Answer]) -> Answer:
    """Return what the job server answers. Raises Unfinished, in one line, where it has a trouble of its own."""
    from ray.exceptions import RayError

    try:
        return call()
    except (OSError, RuntimeError, RayError) as error:
        raise Unfinished(f"the job server: {' '.join(str(error).split())[:300]}") from None


def _follow(client: JobSubmissionClient, job: str, write: Callable[[str], object], lines: str) -> int:
    """Show a job's log until it ends, and return the sweep's exit code. Raises Unfinished where that does not say all.

    `lines` tell how to look after a job that goes on.
    """
    from cluster.jobs.follow import follow
    from cluster.jobs.submit import outcome

    try:
        ended = follow(client, job, write)
    except (KeyboardInterrupt, BrokenPipeError):  # nobody reads on
        raise Unfinished(f"{job} goes on; {lines}") from None
    except ConnectionError as error:
        raise Unfinished(f"the job server is gone ({error}); {job} may go on: {lines}") from None
    code, line = outcome(ended)
    if line:
        raise Unfinished(line)
    return code
