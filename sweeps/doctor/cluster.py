"""Checks of a cluster: whether it can be joined, its token, and what each node has and sees."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ray

from cluster import ray_private
from cluster.nodes.inventory import Node, NodeReport, findings
from cluster.nodes.node_checks import Cached, Files
from fsamc.config.features import Features
from fsamc.counting import counted
from fsamc.data.category import scan_category
from fsamc.data.folders import find_categories
from fsamc.data.textures import load_textures
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from sweeps.checks.nodes import network_files, node_reports
from sweeps.checks.resources import join
from sweeps.doctor.check import Check, DoctorOptions, graded, refused
from sweeps.doctor.machine import check_open_files, check_shared_memory
from sweeps.doctor.materials import DEFAULT
from sweeps.doctor.tokens import check_dashboard, check_own_token

_PATCHES = 784  # of an image of 224 pixels, in a ResNet's second layer


def examine_cluster(options: DoctorOptions) -> Iterator[Check]:
    """Yield what is to be said of the cluster at `options.address`; it is left again."""
    address = str(options.address)
    yield check_own_token()
    (joined,) = refused("cluster", address, lambda: join(address))
    if joined.level != "ok":
        yield joined
        return
    try:
        if dashboard := ray_private.dashboard_address():
            yield check_dashboard(dashboard)
        yield from _examine_nodes(options)
    finally:
        ray.shutdown()


def _examine_nodes(options: DoctorOptions) -> Iterator[Check]:
    folders = {"--cache": options.cache} | ({"--out": options.out} if options.out else {})
    reports = node_reports(_files(options), folders)
    problems = findings(reports)
    for one in problems:
        yield graded("node", f"{one.node}: {one.text}", one.mend, problem=one.serious, warning=True)
    if not problems:
        cpus = sum(node.slots(1, 0) for node in reports)
        seen = f"{counted(cpus, 'CPU')} of {counted(len(reports), 'node', 'see')} what is seen here"
        yield Check("cluster", "ok", f"{options.address}: {seen}")
    needed = bank_bytes(options.data) if isinstance(options.data, Path) else []
    for node, report in reports.items():
        if isinstance(report, NodeReport):
            yield from (check for check in _of_node(node, report, needed) if check.level != "ok")


def _of_node(node: Node, report: NodeReport, needed: list[int]) -> Iterator[Check]:
    yield check_open_files(report.open_files, cluster=True, where=f"open files, {node}")
    if report.shm is not None:
        yield check_shared_memory(report.shm, report.memory, where=f"/dev/shm, {node}")
    yield check_object_store(int(node.resources.get("object_store_memory", 0)), needed, where=str(node))


def check_object_store(size: int, needed: list[int], *, where: str) -> Check:
    """Whether a node's object store holds the banks of the categories, one seed of each. All in bytes."""
    largest, together = max(needed, default=0), sum(needed)
    finding = f"{where} holds {size / 1e6:.0f} MB; the largest bank takes about {largest / 1e6:.0f} MB"
    finding += f", the banks of a seed {together / 1e6:.0f} MB"
    mend = "start the node with a larger --object-store-memory, and as much in /dev/shm, or lower reference.ratio"
    return graded("object store", finding, mend, problem=size < largest, warning=size < together)


def bank_bytes(data: Path) -> list[int]:
    """Return about what the bank of each category takes, at the default settings."""
    from fsamc.detectors.base import detector_class

    base = FoldConfig()
    shapes = [(len(scan_category(data, name).train), _PATCHES, base.features.dim) for name in _names(data)]
    return [detector_class(base.reference).bytes_kept(base.reference, shape) for shape in shapes]


def _files(options: DoctorOptions) -> Iterator[Files | Cached]:
    """Yield what nodes must be able to read; what is wrong with it here already is told elsewhere."""
    if isinstance(options.data, Path):
        for name in _names(options.data):
            category = scan_category(options.data.absolute(), name)
            yield Files.here("--data", category.folder, category.images)
    if isinstance(options.textures, Path) and options.textures.is_dir():
        textures = load_textures(options.textures.absolute())
        yield Files.here("--textures", textures.folder, textures.images)
    backbone = options.backbone if options.backbone not in (None, "auto") else DEFAULT
    with suppress(BadInput, ValueError):
        (network,) = Features.model_validate({"backbone": backbone, "weights": options.weights}).networks
        yield from network_files(network)


def _names(data: Path) -> list[str]:
    try:
        return find_categories(data)
    except BadInput:
        return []
