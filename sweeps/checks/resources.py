"""Resources of a sweep: the CPUs and GPUs there are, and how many folds run at once."""

from __future__ import annotations

import os
from math import inf
from pathlib import Path

import ray

from cluster import runtime
from cluster.nodes.head_probe import TOKEN, TokenRefused, check_head
from cluster.nodes.inventory import Node, alive_nodes, crowded_session
from fsamc.data.credentials import holds_secret
from fsamc.errors import BadInput
from sweeps.plan.settings import Plan


def resolve_resources(plan: Plan, address: str | None) -> tuple[Plan, int]:
    """Decide the plan's GPUs and how many folds may run at once; join the cluster at `address`.

    Without an address it is this machine's GPUs and CPUs that count, or those of a Ray that is up in this process.

    Raises BadInput if there is no cluster, or it has not what one fold takes.
    """
    if address:
        join(address)
    runs = bool(address) or ray.is_initialized()
    nodes = alive_nodes() if runs else [_here()]
    cpus, gpus, workers = plan.resources.cpus, plan.resources.gpus, plan.resources.workers
    gpus_there = sum(node.resources.get("GPU", 0.0) for node in nodes)
    gpus = (0.5 if gpus_there else 0.0) if gpus == "auto" else gpus
    if gpus > gpus_there:
        raise BadInput(f"resources.gpus is {gpus:g}, but there are {gpus_there:g} GPUs; set resources.gpus=0")
    slots = sum(node.slots(cpus, gpus) for node in nodes)
    if runs and not slots:
        raise BadInput(_too_large(cpus, gpus, nodes))
    resolved = plan.model_copy(update={"resources": plan.resources.model_copy(update={"gpus": gpus})})
    return resolved, max(1, slots) if workers == "auto" else workers


def start_ray(plan: Plan, workers: int) -> None:
    """Start a Ray of this machine, for so many folds at once, unless this process is in one."""
    if not ray.is_initialized():
        cpus, gpus, nice = workers * plan.resources.cpus, float(plan.resources.gpus), plan.resources.nice
        runtime.start(None, cpus=cpus, gpus=gpus, nice=nice)


def working_set(plan: Plan) -> float:
    """Return the bytes of banks and nearest rows that are kept in memory; as many as there are where no Ray is up."""
    gigabytes = plan.resources.working_set
    if gigabytes != "auto":
        return gigabytes * 1e9
    return runtime.smallest_object_store() / 2 if ray.is_initialized() else inf


def _too_large(cpus: int, gpus: float, nodes: list[Node]) -> str:
    """Say that a fold runs on one node, and what the largest one has."""
    most = max(nodes, key=lambda node: (node.slots(1, gpus), node.resources.get("CPU", 0)))
    has = f"{most.resources.get('CPU', 0):g} CPUs and {most.resources.get('GPU', 0):g} GPUs"
    return (
        f"resources.cpus is {cpus} and resources.gpus {gpus:g}, but no node holds such a fold, the largest has {has}; "
        "lower them"
    )


def join(address: str) -> None:
    """Join the cluster at `address`; Ray itself would ask a head that is not there for minutes.

    Raises BadInput if there is none, this process is in one, the address, which is shown, holds a name or key, or this
    process is a job whose working directory two nodes share.
    """
    if "@" in address or holds_secret(address):
        raise BadInput(
            "--address holds a name, password or key, which would be shown; give HOST:PORT of its head, "
            f"and set {TOKEN}"
        )
    if ray.is_initialized():
        raise BadInput(f"--address {address}: this process is in a Ray already; leave it first, or leave --address out")
    try:
        check_head(address)
        runtime.start(address, cpus=0, gpus=0)
    except TokenRefused as error:
        raise BadInput(f"--address {address}: {error}; set {TOKEN} to that of the head") from None
    except (OSError, ValueError, RuntimeError) as error:
        raise BadInput(
            f"--address {address}: no Ray cluster there ({' '.join(str(error).split())[:200]}); "
            "give HOST:PORT of its head or auto, or leave --address out"
        ) from None
    if session := crowded_session(ray.nodes(), Path.cwd()):
        ray.shutdown()
        raise BadInput(
            f"--address {address}: two nodes of one host work in {session}, and one would delete this job's working "
            "directory; start the second with `ray start --temp-dir FOLDER`, a folder of its own"
        )


def _here() -> Node:
    """Return this machine as the node that a Ray started here will have."""
    import torch

    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return Node(id="", name="here", address="", resources={"CPU": float(os.cpu_count() or 1), "GPU": float(gpus)})
