"""Probe of a cluster's head: whether it answers and lets us in. Ray asks for 20 seconds, and fills the screen."""

from __future__ import annotations

import grpc

from cluster import ray_private

TOKEN = "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN (or RAY_AUTH_TOKEN_PATH, or the file ~/.ray/auth_token)"


class TokenRefused(ConnectionError):
    """A cluster asks for a token, and has got none or another one."""


def check_head(address: str, *, patience: float = 5.0) -> None:
    """Ask the head at `address`, HOST:PORT or `auto`, for its cluster, with the token that Ray would take.

    Raises:
        TokenRefused: it asks for a token, or refuses ours.
        ConnectionError: no head answers within `patience` seconds.
    """
    ray_private.read_token_anew()
    address = ray_private.head_address(address)
    if not address:
        raise ConnectionError("no head runs on this machine")
    with ray_private.head_channel(address) as channel:
        try:
            channel.unary_unary(ray_private.CLUSTER_ID)(b"", timeout=patience)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise TokenRefused("the cluster asks for a token, and has got none or another one") from None
            raise ConnectionError(_reason(error.details() or error.code().name)) from None


def _reason(details: str) -> str:
    if "http1" in details.lower():
        return "a web server answers, such as Ray's job server; the head's own port is another, 6379 by default"
    return " ".join(details.rpartition(": ")[2].split())[:200]
