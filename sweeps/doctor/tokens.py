"""Checks of access to a cluster: the token here, and whether the cluster asks for one."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

from fsamc.deadline import DEADLINE, within
from sweeps.doctor.check import Check, graded

_MAKE = (
    "make one with `ray get-auth-token --generate`, and start every node with RAY_AUTH_MODE=token and that token in "
    "RAY_AUTH_TOKEN or in the file that RAY_AUTH_TOKEN_PATH names"
)
_REFUSED = (401, 403)


def check_own_token() -> Check:
    """Check what this process would show to a cluster, and that nobody else can read it."""
    if os.environ.get("RAY_AUTH_MODE", "token").lower() == "disabled":
        return Check("token", "problem", "RAY_AUTH_MODE is disabled: anybody may run programs on the cluster", _MAKE)
    if os.environ.get("RAY_AUTH_TOKEN"):
        return Check("token", "ok", "in RAY_AUTH_TOKEN")
    file = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or Path.home() / ".ray" / "auth_token")
    try:
        empty, mode = not file.read_text().strip(), file.stat().st_mode & 0o777
    except OSError as error:
        return Check("token", "problem", f"none in RAY_AUTH_TOKEN nor in {file} ({error.strerror})", _MAKE)
    if empty:
        return Check("token", "problem", f"{file} is empty", _MAKE)
    if mode & 0o077:
        return Check("token", "warning", f"{file} can be read by other users (mode {mode:o})", f"chmod 600 {file}")
    return Check("token", "ok", f"in {file}")


def check_dashboard(address: str) -> Check:
    """Whether the dashboard at HOST:PORT, through which jobs are submitted, asks for a token."""
    try:
        code = within(DEADLINE, lambda: _status(f"http://{address}/api/version"), address)
    except HTTPError as error:
        code = error.code
    except OSError as error:
        return Check("dashboard", "ok", f"{address} cannot be reached from here ({' '.join(str(error).split())[:100]})")
    if code in _REFUSED:
        return Check("dashboard", "ok", f"{address} asks for a token")
    here = is_loopback(address.rpartition(":")[0].strip("[]"))
    who = "all users of that machine" if here else "whoever reaches it"
    finding = f"{address} asks for no token: {who} may run programs"
    return graded("dashboard", finding, _MAKE, problem=not here, warning=here)


def _status(url: str) -> int:
    with build_opener(ProxyHandler({})).open(url, timeout=10) as answer:
        code: int = answer.status
    return code


def is_loopback(host: str) -> bool:
    """Whether a host is the machine itself, by its address or its usual name."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
