"""Checks of access to a cluster: the token here, and whether the cluster asks for one."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from sweeps.doctor.check import Check, ok, problem, warning

_MAKE = (
    "make one with `ray get-auth-token --generate`, and start every node with RAY_AUTH_MODE=token and that token in "
    "RAY_AUTH_TOKEN or in the file that RAY_AUTH_TOKEN_PATH names"
)
_REFUSED = (401, 403)


def check_own_token() -> Iterator[Check]:
    """Check what this process would show to a cluster."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() == "disabled":
        yield problem("token", "RAY_AUTH_MODE is disabled: anybody may run programs on the cluster", _MAKE)
    elif os.environ.get("RAY_AUTH_TOKEN"):
        yield ok("token", "in RAY_AUTH_TOKEN")
    else:
        named = os.environ.get("RAY_AUTH_TOKEN_PATH")
        yield check_token_file(Path(named) if named else Path.home() / ".ray" / "auth_token")


def check_token_file(file: Path) -> Check:
    """Whether there is a token in it that nobody else can read."""
    try:
        empty, mode = not file.read_text().strip(), file.stat().st_mode & 0o777
    except OSError as error:
        return problem("token", f"none in RAY_AUTH_TOKEN nor in {file} ({error.strerror})", _MAKE)
    if empty:
        return problem("token", f"{file} is empty", _MAKE)
    if mode & 0o077:
        return warning("token", f"{file} can be read by other users (mode {mode:o})", f"chmod 600 {file}")
    return ok("token", f"in {file}")


def check_dashboard(address: str) -> Check:
    """Whether the dashboard at HOST:PORT, through which jobs are submitted, asks for a token."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        with build_opener(ProxyHandler({})).open(f"http://{address}/api/version", timeout=10) as answer:
            code = answer.status
    except HTTPError as error:
        code = error.code
    except OSError as error:
        return ok("dashboard", f"{address} cannot be reached from here ({' '.join(str(error).split())[:100]})")
    if code in _REFUSED:
        return ok("dashboard", f"{address} asks for a token")
    if is_loopback(host):
        return warning("dashboard", f"{address} asks for no token: all users of that machine may run programs", _MAKE)
    return problem("dashboard", f"{address} asks for no token: whoever reaches it may run programs", _MAKE)


def is_loopback(host: str) -> bool:
    """Whether a host is the machine itself, by its address or its usual name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
