"""Examinations one after the other: an error in one does not keep from the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from sweeps.doctor.check import Check, DoctorOptions
from sweeps.doctor.machine import examine_machine
from sweeps.doctor.materials import examine_materials, examine_weights
from sweeps.doctor.packages import examine_packages
from sweeps.light_install import left_out


def run_examinations(options: DoctorOptions) -> Iterator[Check]:
    """Yield the findings, subject by subject, as they come."""
    examinations: dict[str, Callable[[], Iterator[Check]]] = {
        "packages": examine_packages,
        "machine": lambda: examine_machine(options.cache, options.out, cluster=options.address is not None),
        "weights": lambda: examine_weights(options.backbone, options.weights),
        "materials": lambda: examine_materials(options.data, options.textures),
    }
    if options.tracking_uri:
        examinations["tracking URI"] = partial(_examine_tracking, options.tracking_uri)
    if options.address:
        examinations["cluster"] = partial(_examine_cluster, options)
    for subject, checks in examinations.items():
        try:
            yield from checks()
        except ModuleNotFoundError as error:
            if (line := left_out(error.name)) is None:
                raise
            yield Check(subject, "problem", *line.split("; "))
        except Exception as error:  # a sick machine may raise anything
            finding = f"cannot be looked at ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
            yield Check(subject, "problem", finding, "mend what it says; if that is not it, report it")
    if not options.address:
        finding = "none: folds run on a Ray of this machine alone, with a token of its own, on loopback"
        yield Check("cluster", "ok", finding)


def _examine_tracking(uri: str) -> Iterator[Check]:
    from sweeps.doctor.tracking import examine_tracking  # which takes MLflow

    yield from examine_tracking(uri)


def _examine_cluster(options: DoctorOptions) -> Iterator[Check]:
    from sweeps.doctor.cluster import examine_cluster  # which takes Ray

    yield from examine_cluster(options)
