"""Ray's private names: all that we use of them, each with why. A test names those that the installed Ray lacks."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import grpc
import ray
from ray._common.utils import get_default_ray_temp_dir
from ray._private import ray_constants, services, worker
from ray._private.authentication.authentication_token_setup import maybe_enable_token_auth_if_token_available
from ray._private.grpc_utils import init_grpc_channel
from ray._private.runtime_env import packaging
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
from ray.job_submission import JobSubmissionClient

from fsamc.deadline import within

CLUSTER_ID = "/ray.rpc.NodeInfoGcsService/GetClusterId"  # what every driver asks a head first; the question is empty
CONNECT = 10.0  # seconds until a job server says anything at all
_TALKATIVE = (
    "ray.dashboard.modules.dashboard_sdk",
    "ray.dashboard.modules.job.sdk",
    "ray._private.authentication.http_token_authentication",
    "ray._private.runtime_env.packaging",
)


class JobClient(JobSubmissionClient):
    """Ray's client; by itself it waits for ever for a server that takes a connection and says little or nothing.

    Args:
        address: http://HOST:PORT.
        deadline: seconds that each call may take.
        headers: sent with each.
    """

    def __init__(self, address: str, *, deadline: float, headers: dict[str, str] | None) -> None:
        self._deadline = deadline
        super().__init__(address, headers=headers)

    def _do_request(self, method: str, endpoint: str, **kwargs: Any) -> Any:
        silence = (CONNECT, CONNECT if endpoint == "/api/version" else self._deadline)
        ask = partial(super()._do_request, method, endpoint, timeout=silence, **kwargs)
        return within(self._deadline, ask, f"{method} {endpoint}")


def quiet_job_client() -> None:
    """Keep Ray's client of the job server from logging to the screen what we tell in a line of our own."""
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def largest_package() -> int:
    """Return the bytes that a package must be below: what the job server reads at once, and Ray's store takes.

    Ray checks the second only, and only when all is packed.
    """
    return int(min(ray_constants.DASHBOARD_CLIENT_MAX_SIZE, packaging.GCS_STORAGE_MAX_SIZE))


def read_token_anew() -> None:
    """Have Ray read the token's variables anew: it keeps what they were when it first looked.

    In a cluster the token stays as it is: without it, Ray would abort the process at the next question to the cluster.
    """
    if ray.is_initialized():
        return
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def temp_dir() -> str:
    """Return the folder in which Ray would put its sessions, each with sockets in it."""
    folder: str = get_default_ray_temp_dir()
    return folder


def head_address(address: str) -> str:
    """Return HOST:PORT of the head that `ray.init` would join; empty where none runs on this machine.

    `ray.init` finds it too, but only while it joins, which takes 20 seconds where the head is gone.
    """
    if address != "auto":
        return address
    maybe_enable_token_auth_if_token_available(warn_if_disabled=False)
    return services.canonicalize_bootstrap_address(address) or ""


def head_channel(address: str) -> grpc.Channel:
    """Open a channel to a head, with the token and certificates that Ray itself would use, and past any HTTP proxy."""
    channel: grpc.Channel = init_grpc_channel(address, options=ray_constants.GLOBAL_GRPC_OPTIONS)
    return channel


def dashboard_address() -> str | None:
    """Return HOST:PORT of the joined cluster's dashboard; no public name of Ray tells it."""
    address: str | None = worker.get_dashboard_url()
    return address


@contextmanager
def on_loopback() -> Iterator[None]:
    """Have a Ray that starts in this context listen on loopback only.

    On Linux Ray puts the machine's address in the place of 127.0.0.1, unless it takes the machine for one that is in
    no cluster, as on macOS.
    """
    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextmanager
def keep_trial_processes() -> Iterator[None]:
    """Have Tune, in this context, end no trial's process before the sweep ends: the next trial has it.

    By itself Tune ends the process of a trial that has ended where no trial waits for one at that moment, and the
    process that is starting for a trial as soon as the trial can have another's. Where trials take less time than a
    process takes to start, hardly one of those that are started for the rest of the sweep is ever used.
    """
    from ray.tune.execution.tune_controller import TuneController  # here: it takes longer to load than all the rest
    from ray.tune.utils.object_cache import _ObjectCache

    controller: Any = TuneController
    actors: Any = _ObjectCache
    reuse, cache = controller._maybe_reuse_cached_actor, actors.cache_object

    def wait_for_its_own(self: Any, trial: Any) -> bool:
        starts = trial in self._trial_to_actor and trial not in self._resetting_trials
        return not starts and reuse(self, trial)

    def cache_each(self: Any, resources: Any, actor: Any) -> bool:
        self.increase_max(resources)
        return bool(cache(self, resources, actor))

    controller._maybe_reuse_cached_actor, actors.cache_object = wait_for_its_own, cache_each
    try:
        yield
    finally:
        controller._maybe_reuse_cached_actor, actors.cache_object = reuse, cache
