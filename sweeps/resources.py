"""What there is to run folds on, and how many run at once."""

from __future__ import annotations

import os

import ray

from cluster import runtime
from cluster.head import TOKEN, TokenRefused, check_head
from fsamc.config import Plan
from fsamc.errors import BadInput


def resolve_resources(plan: Plan, address: str | None) -> tuple[Plan, int]:
    """The plan with its GPUs decided, and how many folds may run at once; joins the cluster at `address`.

    Raises BadInput if there is no cluster, or it has not what one fold takes.
    """
    if address:
        _join(address)
        has = ray.cluster_resources()
        cpus, gpus_there = int(has.get("CPU", 0)), float(has.get("GPU", 0.0))
        if cpus < plan.resources.cpus:
            raise BadInput(f"resources.cpus is {plan.resources.cpus}, but the cluster has {cpus} CPUs; lower it")
    else:
        cpus, gpus_there = os.cpu_count() or 1, float(_gpus_here())
    asked, wanted = plan.resources.gpus, plan.resources.workers
    gpus = (0.5 if gpus_there else 0.0) if asked == "auto" else asked
    if gpus > gpus_there:
        raise BadInput(f"resources.gpus is {gpus:g}, but there are {gpus_there:g} GPUs; set resources.gpus=0")
    workers = max(1, cpus // plan.resources.cpus) if wanted == "auto" else wanted
    return plan.model_copy(update={"resources": plan.resources.model_copy(update={"gpus": gpus})}), workers


def working_set(plan: Plan) -> float:
    """Bytes of banks and nearest rows that are kept in memory, on a Ray that is up."""
    asked = plan.resources.working_set
    return runtime.smallest_object_store() / 2 if asked == "auto" else asked * 1e9


def _join(address: str) -> None:
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


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count() if torch.cuda.is_available() else 0
