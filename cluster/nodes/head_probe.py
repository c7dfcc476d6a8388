"""Whether a head answers at an address and lets us in: Ray itself would ask for twenty seconds, and fill the screen."""

from __future__ import annotations

import grpc
import ray
from ray._private import services
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray._private.grpc_utils import init_grpc_channel
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

TOKEN = "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH, or the file ~/.ray/auth_token)"
_ASKED = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # what every driver asks first; the question is empty


class TokenRefused(ConnectionError):
    """A cluster asks for a token, and has got none or another one."""


def check_head(address: str, *, patience: float = 5.0) -> None:
    """Ask the head at `address`, HOST:PORT or `auto`, for its cluster, with the token that Ray would take.

    Raises:
        TokenRefused: it asks for a token, or refuses ours.
        ConnectionError: no head answers within `patience` seconds.
    """
    read_token_anew()
    if address == "auto":  # as `ray.init` does, for this one address only
        maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
        address = services.canonicalize_bootstrap_address(address) or ""
    if not address:
        raise ConnectionError("no head runs on this machine")
    with init_grpc_channel(address) as channel:
        try:
            channel.unary_unary(_ASKED)(b"", timeout=patience)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise TokenRefused("the cluster asks for a token, and has got none or another one") from None
            raise ConnectionError(_reason(error.details() or error.code().name)) from None


def read_token_anew() -> None:
    """Ray keeps what RAY_AUTH_MODE and RAY_AUTH_TOKEN were when it first looked; here they are what they are now.

    In a cluster the token stays as it is: without it, Ray would abort the process at the next question to the cluster.
    """
    if ray.is_initialized():
        return
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def _reason(details: str) -> str:
    if "http1" in details.lower():
        return "a web server answers, such as Ray's job server; the head's own port is another, 6379 by default"
    return " ".join(details.rpartition(": ")[2].split())[:200]
