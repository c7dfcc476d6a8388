"""Every examination, one after the other: what goes wrong in one does not keep from the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sweeps.doctor.check import Asked, Check, ok, problem
from sweeps.doctor.cluster import examine_cluster
from sweeps.doctor.machine import examine_machine
from sweeps.doctor.materials import examine_materials, examine_weights
from sweeps.doctor.packages import examine_packages
from sweeps.doctor.tracking import examine_tracking


def examine(asked: Asked) -> Iterator[Check]:
    """Everything that is found, subject by subject, as it is found."""
    rounds: dict[str, Callable[[], Iterator[Check]]] = {
        "packages": examine_packages,
        "machine": lambda: examine_machine(asked.cache, asked.out, cluster=asked.address is not None),
        "weights": lambda: examine_weights(asked.backbone, asked.weights),
        "materials": lambda: examine_materials(asked.data, asked.textures),
    }
    if asked.tracking_uri:
        uri = asked.tracking_uri
        rounds["tracking URI"] = lambda: examine_tracking(uri)
    if asked.address:
        rounds["cluster"] = lambda: examine_cluster(asked)
    for subject, look in rounds.items():
        try:
            yield from look()
        except Exception as error:  # a sick machine may raise anything
            found = f"cannot be looked at ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            yield problem(subject, found, "mend what it says; if that is not it, report it")
    if not asked.address:
        yield ok("cluster", "none: folds run on a Ray of this machine alone, with a token of its own, on loopback")
