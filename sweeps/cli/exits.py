"""Ends of a command: exit codes, and a line for what a user can mend."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from fsamc.data.credentials import hide_secrets
from fsamc.deadline import any_left_behind
from fsamc.errors import BadInput
from sweeps.environment import prepare_environment, printable
from sweeps.errors import Unfinished
from sweeps.light_install import left_out

_CTRL_C = 130  # Typer makes this exit code of it
_UsageError: Any = typer.BadParameter.__mro__[1]  # Typer has a copy of click of its own, or click's


def guarded(command: Callable[[], object]) -> None:
    """Run `command` and exit; one line for what a user can mend."""
    try:
        prepare_environment()
        code = command()
    except BadInput as error:
        _fail(2, *error.lines)
    except _UsageError as error:
        _fail(2, _usage(error))
    except Unfinished as error:
        _fail(1, str(error))
    except (KeyboardInterrupt, typer.Abort):
        _fail(1, "interrupted")
    except ModuleNotFoundError as error:
        if (line := left_out(error.name)) is None:
            raise
        _fail(2, line)
    except BrokenPipeError:  # nobody reads on
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else the interpreter complains when it flushes
        sys.exit(1)
    except PermissionError as error:
        _fail(2, f"{error.filename or 'a file'}: {error.strerror}; make it readable, and OUT and the cache writable")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        _fail(1, f"{error.filename or 'the disk'}: {error.strerror}; make room and run the same command again")
    else:
        if code == _CTRL_C:
            _fail(1, "interrupted")
        sys.exit(code if isinstance(code, int) else 0)


def end_process(command: Callable[[], object]) -> None:
    """Run `command` as `guarded` does, and end the process, whatever was left behind (`fsamc.deadline`).

    SIGTERM interrupts it as Ctrl-C does.
    """
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        guarded(command)
    except SystemExit as end:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done: a second Ctrl-C has nothing to interrupt
        if not any_left_behind():
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))


def _usage(error: Any) -> str:
    """Say what is wrong with the words, which were meant perhaps, and where the right ones are listed."""
    command = error.ctx.command_path if error.ctx else "fsamc"
    near = getattr(error, "possibilities", None)  # of an option
    text = f"{error.message}. Did you mean {' or '.join(near)}?" if near else error.format_message().rstrip(".")
    mend = f"`{command} --help` lists what there is"
    return f"{text} {mend}" if text.endswith("?") else f"{text or 'no command'}; {mend}"


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        print(f"fsamc: {printable(hide_secrets(' '.join(line.split())))}", file=sys.stderr)
    sys.exit(code)
