"""Ends of a command: exit codes, and a line for what a user can mend."""

from __future__ import annotations

import errno
import sys
import unicodedata
from collections.abc import Callable
from typing import Any, NoReturn

import typer

from fsamc.data.credentials import hide_secrets
from fsamc.errors import BadInput
from sweeps.errors import Unfinished

_CTRL_C = 130  # Typer makes this exit code of it
_UsageError: Any = typer.BadParameter.__mro__[1]  # Typer has a copy of click of its own, or click's


def guarded(command: Callable[[], object]) -> None:
    """Run `command` and exit; one line for what a user can mend."""
    try:
        code = command()
    except BadInput as error:
        _fail(2, *error.lines)
    except _UsageError as error:
        _fail(2, _usage(error))
    except Unfinished as error:
        _fail(1, str(error))
    except (KeyboardInterrupt, typer.Abort):
        _fail(1, "interrupted")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
            raise
        _fail(1, f"{error.filename or 'the disk'}: {error.strerror}; make room and run the same command again")
    else:
        if code == _CTRL_C:
            _fail(1, "interrupted")
        sys.exit(code if isinstance(code, int) else 0)


def _usage(error: Any) -> str:
    """Say what is wrong with the words, and where the right ones are listed."""
    command = error.ctx.command_path if error.ctx else "fsamc"
    return f"{error.format_message().rstrip('.') or 'no command'}; `{command} --help` lists what there is"


def _fail(code: int, *lines: str) -> NoReturn:
    for line in lines:
        print(f"fsamc: {_printable(hide_secrets(' '.join(line.split())))}", file=sys.stderr)
    sys.exit(code)


def _printable(line: str) -> str:
    """Return the line with what a terminal would obey, or cannot show, written out."""
    return "".join(one if unicodedata.category(one) not in ("Cc", "Cf", "Cs") else ascii(one)[1:-1] for one in line)
