"""Nodes of a cluster: what they hold, what they see, whether they run the same programs as the driver."""

from __future__ import annotations

import platform
import resource
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

import psutil
import ray
import xxhash
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster import PACKAGES
from cluster.nodes.node_checks import NodeCheck

PATIENCE = 60.0  # seconds that a node may take to answer: it may have to start a process
_MUST_AGREE = ("Python", "ray", "code")  # else a task cannot be read there, or is another one
_SHARE = "mount one file system at this path on every node"
_MENDS = {
    "--data": f"{_SHARE}, or give --data as an address (s3://, gs://), which is fetched into the cache",
    "--textures": f"{_SHARE}, or give --textures as an address (s3://, gs://), which is fetched into the cache",
    "torch's cache": "place it there, or give --weights FILE on a file system that all nodes share",
}


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive."""

    id: str
    name: str
    address: str
    resources: dict[str, float] = field(hash=False)

    def __str__(self) -> str:
        return f"node {self.address} ({self.name}, {self.id[:8]})"

    def slots(self, cpus: int, gpus: float) -> int:
        """Return how many folds of `cpus` CPUs and `gpus` GPUs fit at once. A share of a GPU lies on one GPU."""
        fit = int(self.resources.get("CPU", 0) // cpus)
        if not gpus:
            return fit
        there = self.resources.get("GPU", 0)
        return min(fit, int(there) * int(1 / gpus + 1e-6) if gpus < 1 else int(there // gpus))


@dataclass(frozen=True, kw_only=True)
class NodeReport:
    """What a node says of itself.

    Attributes:
        troubles: option, path and what is wrong with it.
        versions: of what must or should be the driver's; `code` is a hash of the program itself.
        shm, memory: bytes of /dev/shm and of memory.
        open_files: how many a process may have open.
    """

    troubles: tuple[tuple[str, Path, str], ...]
    versions: dict[str, str]
    shm: int | None
    memory: int
    open_files: int


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong on one node: one line."""

    node: str
    text: str
    mend: str
    serious: bool = True

    def __str__(self) -> str:
        return f"{self.node}: {self.text}; {self.mend}"


def alive_nodes() -> list[Node]:
    """Return the nodes that are alive, of the cluster that was joined."""
    return [
        Node(
            id=entry["NodeID"],
            name=entry["NodeManagerHostname"],
            address=entry["NodeManagerAddress"],
            resources=dict(entry["Resources"]),
        )
        for entry in ray.nodes()
        if entry["Alive"]
    ]


def crowded_session(entries: Sequence[Mapping[str, Any]], folder: Path) -> Path | None:
    """Return the session's folder that holds `folder` where two live nodes of one host work in it; else None.

    When the first worker of a job ends on one of them, its agent deletes the job's working directory, though the driver
    still stands in it.

    Args:
        entries: what `ray.nodes()` returns.
        folder: working directory of the driver.
    """
    places = Counter(
        (entry["NodeManagerHostname"], Path(entry["RayletSocketName"]).parent.parent)
        for entry in entries
        if entry["Alive"]
    )
    sessions = (session for (_, session), nodes in places.items() if nodes > 1)
    return next((session for session in sessions if folder.resolve().is_relative_to(session.resolve())), None)


@ray.remote(num_cpus=0, max_retries=0)
def _report(checks: Sequence[NodeCheck]) -> NodeReport:
    """Report on the node where this runs."""
    shm = Path("/dev/shm")
    return NodeReport(
        troubles=tuple((one.option, one.folder, trouble) for one in checks if (trouble := one.trouble())),
        versions=program_versions(),
        shm=shutil.disk_usage(shm).total if shm.exists() else None,
        memory=psutil.virtual_memory().total,
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def collect_reports(
    nodes: Sequence[Node], checks: Sequence[NodeCheck] = (), *, patience: float = PATIENCE
) -> dict[Node, NodeReport | str]:
    """Have each node make the checks, and return its report, or in a few words why there is none."""
    sent = ray.put(checks)
    placed = {
        node: _report.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(sent)
        for node in nodes
    }
    done, _ = ray.wait(list(placed.values()), num_returns=len(placed), timeout=patience) if placed else ([], [])
    reports: dict[Node, NodeReport | str] = {}
    for node, reference in placed.items():
        if reference not in done:
            reports[node] = f"does not answer within {patience:g} seconds"
            ray.cancel(reference, force=True)
            continue
        try:
            reports[node] = ray.get(reference)
        except Exception as error:  # whatever a broken installation raises is this node's finding
            reports[node] = f"cannot run fsamc ({_brief(error)})"
    return reports


def findings(reports: dict[Node, NodeReport | str]) -> list[Finding]:
    """List what keeps folds from running on these nodes, or may make their numbers differ from the driver's."""
    return [finding for node, report in reports.items() for finding in _of_node(str(node), report)]


def _of_node(node: str, report: NodeReport | str) -> Iterator[Finding]:
    if isinstance(report, str):
        mend = "look at its log, install what the driver has, or take it out of the cluster"
        yield Finding(node=node, text=report, mend=mend)
        return
    for option, path, trouble in report.troubles:
        text, mend = f"{path} {trouble}", _MENDS.get(option, _SHARE)
        yield Finding(node=node, text=text, mend=mend, serious=option.startswith("--"))
    for name, version in program_versions().items():
        if (there := report.versions.get(name)) != version:
            text = f"{name} is {there} there and {version} at the driver"
            mend = f"install the same {'fsamc' if name == 'code' else name} on all nodes"
            yield Finding(node=node, text=text, mend=mend, serious=name in _MUST_AGREE)


def program_versions() -> dict[str, str]:
    """Return what must be the same where a task is sent and where it runs, and what should be, for equal numbers."""
    versions = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("ray", "torch", "numpy"):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions | {"code": _code()}


def _code() -> str:
    """Hash of the program's own files, whose version number does not change with every change."""
    hasher = xxhash.xxh3_64()
    for name in PACKAGES:
        spec = util.find_spec(name)
        for root in spec.submodule_search_locations or () if spec else ():
            for path in sorted(Path(root).rglob("*.py")):
                hasher.update(f"{name}/{path.relative_to(root)}".encode())
                hasher.update(path.read_bytes())
    return hasher.hexdigest()[:12]


def _brief(error: Exception) -> str:
    text = str(getattr(error, "cause", None) or error).strip()
    return " ".join((text.splitlines() or [""])[-1].split())[:200] or type(error).__name__
