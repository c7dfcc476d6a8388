"""The whole topology as processes of this machine: PostgreSQL, an MLflow server on it, a Ray head and two raylets.

make cluster-local                              until Ctrl-C; prints what to set and what to run
make cluster-local ARGS="-- fsamc doctor"       for as long as a command runs, in its environment
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from urllib.parse import quote
from urllib.request import Request, urlopen

from tests.mlflow_server import MlflowServer
from tests.ray_cluster import RayCluster
from tests.servers import PostgreSQL

NODES = ("one", "two")
STORE = 400 << 20  # bytes of each node's object store: two of the smoke plan's banks and what Ray needs itself


class LocalCluster:
    """Everything that a sweep on a cluster talks to, gone when the context is left.

    The head runs no folds; each of the two nodes has one CPU and an object store of its own.

    Args:
        store: bytes of each node's object store.
    """

    def __init__(self, *, store: int = STORE) -> None:
        self._kept = ExitStack()
        self.root = Path(tempfile.mkdtemp(prefix="fsamc-cluster-"))
        self._kept.callback(shutil.rmtree, self.root, ignore_errors=True)
        self.postgresql = PostgreSQL()
        self._kept.callback(self.postgresql.stop)
        self._store = store
        self.ray = self._new_ray()

    def __enter__(self) -> LocalCluster:
        with ExitStack() as undo:
            undo.push(self._kept)
            self.postgresql.start()
            self.postgresql.make_database("mlflow")
            where = f"127.0.0.1:{self.postgresql.port}/mlflow"
            secret = quote(self.postgresql.password, safe="")
            self.mlflow = MlflowServer(self.root, f"postgresql+psycopg://{self.postgresql.user}:{secret}@{where}")
            self._kept.callback(self.mlflow.kill)
            self.mlflow.start()
            self._kept.callback(lambda: self.ray.stop())
            self._start_ray()
            self._kept = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kept.close()

    def restart_ray(self) -> None:
        """Kill the head and the nodes with it, and start others at another address."""
        for node in list(self.ray.nodes):
            self.ray.kill_raylet(node)
        self.ray.stop()
        self.ray = self._new_ray()
        self._start_ray()

    def _new_ray(self) -> RayCluster:
        # Ray ends idle workers beyond a node's CPUs; those of another sweep are to stay warm here.
        variables = {"PGSECRET": self.postgresql.password, "RAY_num_workers_soft_limit": "3"}
        return RayCluster(cpus=0, store=self._store, variables=variables)

    def _start_ray(self) -> None:
        self.ray.__enter__()
        for name in NODES:
            self.ray.add_raylet(name)
        self.wait_for_nodes()

    def wait_for_nodes(self) -> None:
        """Until both nodes have joined; one that gave up, on a machine that is too busy, is started again."""
        end = time.monotonic() + 300
        while (there := self._n_alive()) < 1 + len(NODES):
            assert self.ray.nodes["head"].poll() is None, f"the head has ended:\n{self._logs()}"
            assert time.monotonic() < end, f"{there} nodes have joined:\n{self._logs()}"
            for name in NODES:
                if (node := self.ray.nodes.get(name)) and node.poll() is not None:
                    self.ray.add_raylet(name)
            time.sleep(0.5)

    def _n_alive(self) -> int:
        asked = Request(f"{self.ray.jobs}/nodes?view=summary", headers={"Authorization": f"Bearer {self.ray.token}"})
        try:
            with urlopen(asked, timeout=30) as answer:
                nodes = json.load(answer)["data"]["summary"]
        except OSError:  # the job server is starting again, or the machine is too busy
            return 0
        return sum(node["raylet"].get("state") == "ALIVE" for node in nodes)

    def _logs(self) -> str:
        return "\n".join(file.read_text()[-2000:] for file in sorted(self.ray.folder.glob("*.log")))

    @property
    def environment(self) -> dict[str, str]:
        """What a command needs to use all of it."""
        where = {"RAY_API_SERVER_ADDRESS": self.ray.jobs, "MLFLOW_TRACKING_URI": self.mlflow.uri}
        on_path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        return self.ray.environment | where | {"PATH": on_path}

    def write_environment(self) -> Path:
        """A file for the shell, which only its owner may read: it holds the token."""
        file = self.root / "environment"
        file.touch(mode=0o600)
        told = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "PGSECRET", "RAY_API_SERVER_ADDRESS")
        lines = [f"export {name}={shlex.quote(self.environment[name])}\n" for name in told]
        file.write_text("".join(lines))
        return file


def tear_down_on_signals() -> None:
    """SIGTERM and SIGINT leave every context, also where whoever started this process had them ignored."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def main(command: list[str]) -> int:
    """Run a command on the topology, or wait until Ctrl-C; the command's exit code."""
    tear_down_on_signals()
    print("starting PostgreSQL, MLflow, a Ray head and two nodes", flush=True)
    with LocalCluster() as cluster:
        print(f"jobs     {cluster.ray.jobs}\nray      {cluster.ray.gcs}\nMLflow   {cluster.mlflow.uri}", flush=True)
        if command:
            return subprocess.run(command, env=cluster.environment).returncode
        submit = "fsamc submit smoke --data DATA --textures TEXTURES --out OUT"
        print(
            f"In another terminal:\n    source {cluster.write_environment()}\n"
            f"    {submit} --tracking-uri {cluster.mlflow.uri}\nCtrl-C ends everything.",
            flush=True,
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("ending")
    return 0


if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main(words[1:] if words[:1] == ["--"] else words))
