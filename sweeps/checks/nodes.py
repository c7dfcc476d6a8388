"""Whether every node of a joined cluster can do what the driver is about to ask of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from cluster.nodes.inventory import Finding, Look, alive_nodes, ask, findings
from cluster.nodes.node_checks import Cached, Files, shared_folder
from fsamc.config.features import Features
from fsamc.errors import BadInputs
from fsamc.features.weights import is_program, is_random
from sweeps.checks.prepare import Prepared
from sweeps.plan.load import variants


def check_everywhere(prepared: Prepared, *, cache: Path, out: Path) -> tuple[str, ...]:
    """Warnings, a line for each node whose numbers may differ from the driver's.

    Raises BadInputs, a line for each node and path, if a node does not see what the driver sees, cannot write where
    the sweep writes, runs another program, or does not answer.
    """
    found = look_everywhere(tuple(files_of(prepared)), {"--cache": cache, "--out": out})
    if serious := [str(finding) for finding in found if finding.serious]:
        raise BadInputs("\n".join(serious))
    return tuple(str(finding) for finding in found)


def look_everywhere(files: tuple[Files | Cached, ...], folders: dict[str, Path]) -> list[Finding]:
    """What is wrong on any node: with `files`, which are read there, and with `folders`, which are written to."""
    with ExitStack() as probes:
        shared = tuple(probes.enter_context(shared_folder(option, folder)) for option, folder in folders.items())
        return findings(ask(alive_nodes(), Look(files=files, shared=shared)))


def files_of(prepared: Prepared) -> Iterator[Files | Cached]:
    """What folds read: the images of each category, the textures, the networks' files."""
    for category in prepared.categories.values():
        yield Files.here("--data", category.folder, category.images)
    if prepared.textures:
        yield Files.here("--textures", prepared.textures.folder, prepared.textures.images)
    for features in dict.fromkeys(config.features for config in variants(prepared.plan)):
        yield from files_of_network(features)


def files_of_network(features: Features) -> Iterator[Files | Cached]:
    """The file of a program or of weights; where torchvision knows the weights, what torch has cached."""
    if is_program(features):
        yield _one("--backbone", Path(features.backbone))
    elif features.weights is None:
        from torchvision.models import get_model_weights

        yield Cached(name=get_model_weights(features.backbone)["IMAGENET1K_V1"].url.rsplit("/", 1)[-1])
    elif not is_random(features):
        yield _one("--weights", Path(features.weights))


def _one(option: str, file: Path) -> Files:
    return Files.here(option, file.absolute().parent, [file.name])
