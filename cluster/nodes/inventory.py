"""The nodes of a cluster: what they hold, what they see, whether they run the same programs as the driver."""

from __future__ import annotations

import platform
import resource
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path

import psutil
import ray
import xxhash
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from cluster import PACKAGES
from cluster.nodes.node_checks import Cached, Files, Shared

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
        """How many folds of `cpus` CPUs and `gpus` GPUs fit at once; a share of a GPU lies on one GPU."""
        fit = int(self.resources.get("CPU", 0) // cpus)
        if not gpus:
            return fit
        there = self.resources.get("GPU", 0)
        return min(fit, int(there) * int(1 / gpus + 1e-6) if gpus < 1 else int(there // gpus))


@dataclass(frozen=True, kw_only=True)
class Look:
    """What a node is asked to look at."""

    files: tuple[Files | Cached, ...] = ()
    shared: tuple[Shared, ...] = ()
    torch: bool = False  # whether to load it and say what CUDA it finds


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a node answers.

    Attributes:
        troubles: option, path and what is wrong with it.
        versions: of what must or should be the driver's; `code` is a hash of the program itself.
        shm, memory: bytes of /dev/shm and of memory.
        free: bytes free on the disk of each shared folder, by its option.
        open_files: how many a process may have open.
        cuda: torch's CUDA version and number of devices, where torch was to be loaded.
    """

    troubles: tuple[tuple[str, Path, str], ...]
    versions: dict[str, str]
    shm: int | None
    memory: int
    free: dict[str, int]
    open_files: int
    cuda: tuple[str | None, int] | None = None


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
    """The nodes that are alive, of the cluster that was joined."""
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


def look(asked: Look) -> Seen:
    """What this machine sees."""
    wanted: list[Files | Cached | Shared] = [*asked.files, *asked.shared]
    troubles = [(one.option, one.folder, trouble) for one in wanted if (trouble := one.trouble())]
    return Seen(
        troubles=tuple(troubles),
        versions=versions(),
        shm=_disk(Path("/dev/shm"), "total"),
        memory=psutil.virtual_memory().total,
        free={one.option: _disk(one.probe.parent, "free") or 0 for one in asked.shared},
        open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        cuda=_cuda() if asked.torch else None,
    )


def ask(nodes: Sequence[Node], asked: Look, *, patience: float = PATIENCE) -> dict[Node, Seen | str]:
    """What each node answers, or in a few words why it does not."""
    given = ray.put(asked)
    placed = {
        node: _look.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False)).remote(given)
        for node in nodes
    }
    done, _ = ray.wait(list(placed.values()), num_returns=len(placed), timeout=patience) if placed else ([], [])
    answers: dict[Node, Seen | str] = {}
    for node, reference in placed.items():
        if reference not in done:
            answers[node] = f"does not answer within {patience:g} seconds"
            ray.cancel(reference, force=True)
            continue
        try:
            answers[node] = ray.get(reference)
        except Exception as error:  # whatever a broken installation raises is this node's finding
            answers[node] = f"cannot run fsamc ({_brief(error)})"
    return answers


def findings(answers: dict[Node, Seen | str]) -> list[Finding]:
    """What keeps folds from running on these nodes, or may make their numbers differ from those of the driver."""
    return [finding for node, answer in answers.items() for finding in _of_node(str(node), answer)]


def _of_node(node: str, answer: Seen | str) -> Iterator[Finding]:
    if isinstance(answer, str):
        mend = "look at its log, install what the driver has, or take it out of the cluster"
        yield Finding(node=node, text=answer, mend=mend)
        return
    for option, path, trouble in answer.troubles:
        text, mend = f"{path} {trouble}", _MENDS.get(option, _SHARE)
        yield Finding(node=node, text=text, mend=mend, serious=option.startswith("--"))
    for name, version in versions().items():
        if (there := answer.versions.get(name)) != version:
            text = f"{name} is {there} there and {version} at the driver"
            mend = f"install the same {'fsamc' if name == 'code' else name} on all nodes"
            yield Finding(node=node, text=text, mend=mend, serious=name in _MUST_AGREE)


def versions() -> dict[str, str]:
    """What must be the same where a task is sent and where it runs, and what should be, for equal numbers."""
    found = {"Python": ".".join(platform.python_version_tuple()[:2])}
    for name in ("ray", "torch", "numpy"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"code": _code()}


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


def _disk(path: Path, what: str) -> int | None:
    return int(getattr(shutil.disk_usage(path), what)) if path.exists() else None


def _cuda() -> tuple[str | None, int]:
    import torch

    return torch.version.cuda, torch.cuda.device_count()


def _brief(error: Exception) -> str:
    text = str(getattr(error, "cause", None) or error).strip()
    return " ".join((text.splitlines() or [""])[-1].split())[:200] or type(error).__name__


@ray.remote(num_cpus=0, max_retries=0)
def _look(asked: Look) -> Seen:
    return look(asked)
