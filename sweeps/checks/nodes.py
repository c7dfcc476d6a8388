"""Node checks before a sweep: every node of the joined cluster sees the files and folders of the driver."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

from cluster.nodes.inventory import Node, NodeReport, alive_nodes, collect_reports, findings
from cluster.nodes.node_checks import Cached, Files, shared_folder
from fsamc.config.features import RANDOM, Network
from fsamc.errors import BadInputs
from fsamc.features.networks.lookup import is_program
from fsamc.features.networks.torchvision_resnet import RESNETS, pretrained_url
from sweeps.checks.prepare import Prepared
from sweeps.plan.configurations import variants


def check_nodes(prepared: Prepared, *, cache: Path, out: Path) -> tuple[str, ...]:
    """Return warnings, a line for each node whose numbers may differ from the driver's.

    Raises BadInputs, a line for each node and path, if a node does not see what the driver sees, cannot write where
    the sweep writes, runs another program, or does not answer.
    """
    problems = findings(node_reports(fold_files(prepared), {"--cache": cache, "--out": out}))
    if serious := [str(finding) for finding in problems if finding.serious]:
        raise BadInputs("\n".join(serious))
    return tuple(str(finding) for finding in problems)


def node_reports(files: Iterable[Files | Cached], folders: dict[str, Path]) -> dict[Node, NodeReport | str]:
    """Have every node check `files`, which are read there, and `folders`, which are written to, by their options."""
    with ExitStack() as probes:
        shared = [probes.enter_context(shared_folder(option, folder)) for option, folder in folders.items()]
        return collect_reports(alive_nodes(), (*files, *shared))


def fold_files(prepared: Prepared) -> Iterator[Files | Cached]:
    """Yield the files that folds read: the images of each category, the textures, the networks' files."""
    for category in prepared.categories.values():
        yield Files.here("--data", category.folder, category.images)
    if prepared.textures:
        yield Files.here("--textures", prepared.textures.folder, prepared.textures.images)
    for network in dict.fromkeys(one for config in variants(prepared.plan) for one in config.features.networks):
        yield from network_files(network)


def network_files(network: Network) -> Iterator[Files | Cached]:
    """Yield the file of a program or of weights; for a ResNet without, what torch has cached."""
    if is_program(network):
        yield _single("--backbone", Path(network.backbone))
    elif network.weights not in (None, RANDOM):
        yield _single("--weights", Path(network.weights))
    elif network.weights is None and network.backbone in RESNETS:
        yield Cached(name=pretrained_url(network.backbone).rsplit("/", 1)[-1])


def _single(option: str, file: Path) -> Files:
    return Files.here(option, file.absolute().parent, [file.name])
