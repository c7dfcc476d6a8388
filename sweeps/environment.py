"""Process environment, made fit for the libraries: a home, a name, proxies, and an output that takes every letter."""

from __future__ import annotations

import codecs
import os
import pwd
import sys
import tempfile
import unicodedata
from pathlib import Path

from fsamc.errors import BadInput

_PLAIN = {"\u00b1": "+/-", "\u00d7": "x", "\u2013": "-", "\u2014": "-", "\u2026": "...", "\u2212": "-", "\u2192": "->"}
_HERE = "127.0.0.1,localhost,::1"


def printable(text: str) -> str:
    """Return the text with what a terminal would obey, or cannot show, written out."""
    if text.isprintable():
        return text
    return "".join(one if unicodedata.category(one) not in ("Cc", "Cf", "Cs") else ascii(one)[1:-1] for one in text)


def prepare_environment() -> None:
    """Fill in what libraries need and a container or a batch job may lack. Raises BadInput where no home can be had."""
    _print_every_letter()
    _have_a_home()
    _reach_this_machine_directly()


def _print_every_letter() -> None:
    """Write letters that the output's encoding lacks in others, in place of raising."""
    codecs.register_error("fsamc", _in_other_letters)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="fsamc")


def _in_other_letters(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(_PLAIN.get(one, "?") for one in error.object[error.start : error.end]), error.end


def _have_a_home() -> None:
    """Give a user without an entry in the system's list a name, and a home in the folder of temporary files."""
    user = os.getuid()
    try:
        pwd.getpwuid(user)
    except KeyError:
        for name in ("USER", "LOGNAME"):
            os.environ.setdefault(name, f"uid{user}")
        if not os.environ.get("HOME"):
            os.environ["HOME"] = str(_own_folder(Path(tempfile.gettempdir()) / f"fsamc-{user}", user))


def _own_folder(folder: Path, user: int) -> Path:
    """Make a folder that nobody else may use. Raises BadInput where another user has made it before."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        owner, is_link = folder.lstat().st_uid, folder.is_symlink()
    except OSError as error:
        raise BadInput(f"HOME is not set, and {folder} cannot be made ({error.strerror}); set HOME") from None
    if owner != user or is_link:
        raise BadInput(f"HOME is not set, and {folder} is another user's; set HOME to a folder of your own")
    return folder


def _reach_this_machine_directly() -> None:
    """Send nothing that stays on this machine through a proxy."""
    for name in ("no_proxy", "NO_PROXY"):
        said = os.environ.get(name, "")
        os.environ[name] = f"{said},{_HERE}" if said and _HERE not in said else said or _HERE
