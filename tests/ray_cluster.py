"""A real Ray cluster as processes of this machine: a head and raylets, each with an object store of its own."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from urllib.request import Request, urlopen

import psutil

from tests import one_ray
from tests.servers import free_port, free_ports, wait

HERE = "127.0.0.1"
STORE = 80 << 20  # bytes of a node's object store: a little above the least that Ray takes
_NAMES = ("node-manager", "object-manager", "dashboard-agent-listen", "dashboard-agent-grpc", "runtime-env-agent")


class RayCluster:
    """Asks for a token, and is gone when its context is left.

    Its job server listens on loopback only. Ray's own ports are not to be kept there: Ray puts this machine's address
    in the place of 127.0.0.1, and what comes in without the token is refused.

    Every node is `ray start --block` in a process group of its own, so that only what was started here is ever killed:
    `ray stop` would end every Ray of this machine. When one process of a node dies, Ray ends the node.

    Args:
        cpus: of the head; 0 keeps folds away from it.
        store: bytes of each node's object store.
        variables: of every node's environment, besides this process's own.

    Attributes:
        token: what `environment` gives to clients; it is never on a command line.
        gcs: address for drivers and raylets, HOST:PORT.
        jobs: address of the job server, http://HOST:PORT.
        nodes: the nodes' processes by name; the head is `head`.
        folder: logs of the nodes, and Ray's sessions.
    """

    def __init__(self, *, cpus: int = 2, store: int = STORE, variables: Mapping[str, str] | None = None) -> None:
        self.token = secrets.token_hex(16)
        self.cpus, self.store = cpus, store
        self.variables = dict(variables or {})
        port, dashboard = free_ports(2)
        self.gcs, self.jobs = f"{HERE}:{port}", f"http://{HERE}:{dashboard}"
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}
        self.folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))  # the path of a socket has 107 characters

    @property
    def lets_in(self) -> dict[str, str]:
        """The variables by which a client is let in."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    @property
    def environment(self) -> dict[str, str]:
        """The environment of whoever may use the cluster: nodes, drivers, clients."""
        mine = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "RAY_AUTH_TOKEN_PATH")}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # jobs begin with `python`
        asks = {"PATH": path, "RAY_USAGE_STATS_ENABLED": "0"}
        return mine | asks | self.lets_in | self.variables

    def __enter__(self) -> RayCluster:
        one_ray.down()  # it has another token, of which a process knows one
        try:
            self._start_head()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start_head(self) -> None:
        port, dashboard = self.gcs.rpartition(":")[2], self.jobs.rpartition(":")[2]
        words = ["--head", "--port", port, "--temp-dir", str(self.folder / "head")]
        words += ["--dashboard-host", HERE, "--dashboard-port", dashboard, "--include-dashboard", "true"]
        words += ["--ray-client-server-port", str(free_port())]
        process = self._start("head", words, cpus=self.cpus)
        asked = Request(f"{self.jobs}/api/jobs/", headers={"Authorization": f"Bearer {self.token}"})
        wait(lambda: urlopen(asked, timeout=30), process, self.folder / "head.log", seconds=120)

    def add_raylet(self, name: str, *, cpus: int = 1, through: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a node besides the head; it has joined when `ray.nodes()` of a driver has it.

        `through`: a command that runs the one after it, such as `unshare --mount`.
        """
        # Each its own folder, as on machines apart: in a common one, nodes take away what jobs of others have there.
        words = ["--address", self.gcs, "--temp-dir", str(self.folder / name)]
        return self._start(name, words, cpus=cpus, through=through)

    def kill_raylet(self, name: str) -> None:
        """Kill a node's raylet with SIGKILL, and wait until the rest of the node is gone."""
        process = self.nodes.pop(name)
        family = psutil.Process(process.pid).children(recursive=True)
        for one in family:
            with suppress(psutil.NoSuchProcess):
                if one.name().startswith("raylet"):
                    one.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        _end(process, family)

    def stop(self) -> None:
        """End every node, raylets first, and remove what they wrote."""
        for name in reversed(list(self.nodes)):
            process = self.nodes.pop(name)
            family = _family(process)
            process.kill()  # asked to end in good order, it would wait for what its jobs have left
            _end(process, family)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self, name: str, words: list[str], *, cpus: int, through: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        ports = [f"--{kind}-port={port}" for kind, port in zip(_NAMES, free_ports(len(_NAMES)), strict=True)]
        takes = ["--num-cpus", str(cpus), "--num-gpus", "0", "--object-store-memory", str(self.store)]
        own = ["--node-ip-address", HERE, "--node-name", name, "--disable-usage-stats", "--block"]
        command = [*through, str(Path(sys.executable).with_name("ray")), "start", *words, *own, *takes, *ports]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.nodes[name] = subprocess.Popen(
                command, env=self.environment, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )
        return self.nodes[name]


def _family(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(process: subprocess.Popen[bytes], family: list[psutil.Process]) -> None:
    """Reap a node's process, and kill what it has left."""
    process.wait(timeout=30)
    for one in family:
        try:
            one.kill()  # psutil looks whether it still is that process
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(family, timeout=30)
