"""Ray's job server: reaching it, with a line for each way in which that can fail."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from cluster import ray_private
from cluster.nodes.head_probe import TOKEN
from fsamc.data.credentials import holds_secret
from fsamc.deadline import DEADLINE
from fsamc.errors import BadInput

# Ray takes the address of these before the one that it is given.
VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
_EXPECTED = "give http://HOST:8265, where Ray's dashboard is (Ray's own port, 6379, is for `fsamc sweep --address`)"


def connect(address: str, *, deadline: float = DEADLINE) -> JobSubmissionClient:
    """Return a client of the job server at `address`, with the token and headers that `ray job` takes.

    Each of its calls raises a TimeoutError after `deadline` seconds.

    Raises BadInput if there is none, or it does not let us in.
    """
    ray_private.read_token_anew()
    ray_private.quiet_job_client()
    try:
        with _only(address):
            return ray_private.JobClient(address, deadline=deadline, headers=_headers())
    except AuthenticationError as error:
        refused = "Authentication failed" in str(error)
        what = "refuses the token that we have" if refused else "asks for a token"
        raise BadInput(f"--address {address}: the cluster {what}; set {TOKEN} to that of the head") from None
    except (OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"--address {address}: no job server of Ray answers ({reason_of(error)}); {_EXPECTED}") from None


def job_server(address: str | None) -> str:
    """Return the address, by default that of the environment, if it is http(s)://HOST:PORT. Raises BadInput."""
    if address is None:
        values = (os.environ.get(name, "") for name in VARIABLES)
        address = next((value for value in values if value.startswith(("http://", "https://"))), None)
    if address is None:
        raise BadInput(f"--address is missing: {_EXPECTED}, or set {VARIABLES[0]}")
    try:
        parts = urlsplit(address)
        complete = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        raise BadInput(f"--address: expected http://HOST:PORT, and found what is no address; {_EXPECTED}") from None
    if parts.password or parts.username or holds_secret(address):
        raise BadInput(f"--address holds a name, password or key, which would be shown; {_EXPECTED}, and set {TOKEN}")
    if not complete:
        raise BadInput(f"--address {address}: expected http:// or https://, HOST and PORT; {_EXPECTED}")
    return address.rstrip("/")


def overridden(address: str) -> bool:
    """Whether `ray job` would ask another server than the one it is given, because of the environment."""
    value = next(filter(None, map(os.environ.get, VARIABLES)), address)
    return value.rstrip("/") != address


def _headers() -> dict[str, str] | None:
    """Return those that `ray job` sends."""
    try:
        headers: dict[str, str] | None = json.loads(os.environ.get("RAY_JOB_HEADERS", "null"))
    except ValueError:
        raise BadInput('RAY_JOB_HEADERS: not JSON; expected {"NAME": "VALUE"}, or nothing') from None
    return headers


@contextmanager
def _only(address: str) -> Iterator[None]:
    """Let Ray's client take this address, whatever the environment says."""
    before = os.environ.get(VARIABLES[0])
    os.environ[VARIABLES[0]] = address
    try:
        yield
    finally:
        del os.environ[VARIABLES[0]]
        if before is not None:
            os.environ[VARIABLES[0]] = before


def reason_of(error: BaseException) -> str:
    """Say in a few words why a request failed: the clients of HTTP wrap what has happened many times."""
    text = " ".join(str(error.__context__ or error).split())
    if system_error := re.search(r"\[Errno -?\d+\] ([\w ]+)", text):
        return system_error[1]
    if "SSL" in text:
        return "no https, or with a certificate that is not trusted" if "certificate" in text.lower() else "no https"
    if "timed out" in text:
        return "no answer"
    if any(said in text for said in ("BadStatusLine", "RemoteDisconnected", "Connection aborted", "reset by peer")):
        return "what is there speaks no HTTP"
    return text[:200]
