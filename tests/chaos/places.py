"""Where sweeps run that parts are killed of: on this machine's own Ray, or on a cluster with all that belongs to it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

import psutil

from tests.local_cluster import NODES, LocalCluster
from tests.mlflow_server import MlflowServer
from tests.servers import PostgreSQL
from tests.sweeps.small import title

# What dies, by the title of its process.
TITLES = {
    "worker": "ray::_run_fold",
    "trial": "ray::ImplicitFunc",
    "bank": "ray::BankActor",
    "fold-service": "ray::FoldService",
}


class Laptop:
    """An embedded Ray, which the driver brings along, and an MLflow server on a database file."""

    parts = ("driver", "worker", "trial", "bank", "fold-service", "mlflow")
    words: tuple[str, ...] = ()

    def __init__(self, root: Path, moments: random.Random) -> None:
        self._moments = moments
        (root / "server").mkdir(parents=True, exist_ok=True)
        self._server = MlflowServer(root / "server")
        self._server.start()

    @property
    def tracking(self) -> str:
        return self._server.uri

    @property
    def environment(self) -> Mapping[str, str]:
        return os.environ

    def study(self, name: str) -> dict[str, str]:
        return {}  # OUT/study.db

    def strike(self, part: str, driver: subprocess.Popen[str]) -> bool:
        if part == "driver":
            return driver.send_signal(signal.SIGKILL) is None
        if part == "mlflow":
            return away(self._server, self._moments)
        return kill_titled([driver.pid], TITLES[part])

    def stop(self) -> None:
        self._server.kill()


class Cluster:
    """A Ray head and two nodes, MLflow on PostgreSQL, studies in PostgreSQL."""

    parts = (*Laptop.parts, "raylet", "head", "postgresql", "memory")

    def __init__(self, root: Path, moments: random.Random) -> None:
        self._moments, self._root = moments, root
        self._kept = ExitStack()
        self._all = self._kept.enter_context(LocalCluster(store=80 << 20))

    @property
    def tracking(self) -> str:
        return self._all.mlflow.uri

    @property
    def words(self) -> list[str]:
        return ["--address", self._all.ray.gcs]

    @property
    def environment(self) -> Mapping[str, str]:
        return self._all.environment

    def study(self, name: str) -> dict[str, str]:
        return {"storage": self._all.postgresql.make_database(name.replace("-", "_"))}

    def strike(self, part: str, driver: subprocess.Popen[str]) -> bool:
        if part == "driver":
            return driver.send_signal(signal.SIGKILL) is None
        if part == "mlflow":
            return away(self._all.mlflow, self._moments)
        if part == "postgresql":
            return away(self._all.postgresql, self._moments)
        if part == "head":
            self._all.restart_ray()
        elif part == "raylet":
            name = self._moments.choice(NODES)
            self._all.ray.kill_raylet(name)
            time.sleep(self._moments.uniform(0, 5))
            self._all.ray.add_raylet(name)
            self._all.wait_for_nodes()
        elif part == "memory":
            self._fill_object_stores()
        else:
            return kill_titled([node.pid for node in self._all.ray.nodes.values()], TITLES[part])
        return True

    def stop(self) -> None:
        self._kept.close()

    def _fill_object_stores(self) -> None:
        """Have another driver fill the object stores of all nodes, and die with all that it holds."""
        command = [sys.executable, "-m", "tests.chaos.hog", self._all.ray.gcs]
        hog = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.environment,
            start_new_session=True,
        )
        assert hog.stdout is not None
        assert "full" in hog.stdout.readline()
        time.sleep(self._moments.uniform(1, 5))
        hog.kill()
        hog.communicate()


def away(server: MlflowServer | PostgreSQL, moments: random.Random) -> bool:
    """Kill a server, and start it again up to five seconds later."""
    server.kill()
    time.sleep(moments.uniform(0, 5))
    server.start()
    return True


def kill_titled(roots: Iterable[int], name: str) -> bool:
    """Kill the first process below these whose title begins so; whether there was one."""
    for root in roots:
        try:
            family = psutil.Process(root).children(recursive=True)
        except psutil.Error:
            continue
        for process in family:
            try:
                if title(process).startswith(name):
                    process.send_signal(signal.SIGKILL)
                    return True
            except psutil.Error:
                continue
    return False
