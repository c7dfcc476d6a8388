"""Backbones of a classifier on this machine: found by their content, wherever they lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from fsamc.classifier.model_file import BackboneRecord
from fsamc.config.features import RANDOM, Features, Network
from fsamc.errors import BadInput
from fsamc.features.networks.lookup import is_program, source_of
from fsamc.features.networks.weights_file import check_file
from fsamc.features.weights import origin_of
from fsamc.store.digests import digest
from fsamc.store.store import Store


@dataclass(frozen=True)
class KeptBackbone:
    """A network's file as the cache keeps it, under its content: artifact of the store.

    Attributes:
        identity: of the network.
        file: its name, or where it is.
        content: its bytes, uint8 [n], where they are not read from there.
    """

    kind: ClassVar[str] = "backbone"
    identity: str
    file: str
    content: np.ndarray | None = None

    @property
    def key(self) -> str:
        """Hash of the network's identity."""
        return digest(self.identity)

    @property
    def about(self) -> str:
        """Its name."""
        return Path(self.file).name

    @property
    def name(self) -> str:
        """That of the kept file."""
        return f"network{Path(self.file).suffix}"

    def build(self, store: Store, into: Path) -> None:  # noqa: ARG002 - as every artifact
        """Copy it."""
        content = Path(self.file).read_bytes() if self.content is None else self.content.tobytes()
        (into / self.name).write_bytes(content)

    def path(self, cache: Path) -> Path | None:
        """Return where the cache has it; None where it has not, or it is damaged."""
        folder = Store(cache).find(self.kind, self.key)
        return folder and folder / self.name


def records_of(features: Features) -> list[BackboneRecord]:
    """Describe the networks that features name. Raises BadInput if one cannot be had."""
    return [
        BackboneRecord(identity=source.identity, file=source.file, origin=origin_of(network))
        for network, source in zip(features.networks, map(source_of, features.networks), strict=True)
    ]


def contents_of(features: Features) -> dict[str, np.ndarray]:
    """Return the bytes of the networks' files, uint8 [n] each, by the names under which they are packed.

    Raises BadInput if a library has one, and no file.
    """
    contents = {}
    for number, network in enumerate(features.networks):
        file = Path(source_of(network).file)
        if not file.is_file():
            what = "comes with a library and is no file that could be packed"
            raise BadInput(f"{network.backbone}: {what}; leave it out")
        contents[_packed_name(number)] = np.frombuffer(file.read_bytes(), np.uint8)
    return contents


def _packed_name(number: int) -> str:
    return f"backbone.{number}" if number else "backbone"


def keep(network: Network, cache: Path) -> None:
    """Keep a copy of the network's file in the cache, where a classifier finds it when the file has moved."""
    if is_program(network) or network.weights not in (None, RANDOM):
        source = source_of(network)
        Store(cache).get(KeptBackbone(source.identity, source.file))


def located(
    features: Features,
    records: Sequence[BackboneRecord],
    *,
    beside: Path,
    instead: str | None,
    packed: dict[str, np.ndarray],
    cache: Path,
) -> Features:
    """Return the features with the networks as they are named on this machine.

    Args:
        features: as they were where the classifier was fitted.
        records: the networks.
        beside: the classifier's file; its folder is looked into.
        instead: a file or a name that the user says one of them is.
        packed: arrays of the classifier's file; those that are networks are taken out.
        cache: the user's cache folder.

    Raises:
        BadInput: one is not found, or `instead` is another network.
    """
    named = {} if instead is None else _instead(features.networks, records, instead)
    contents = [packed.pop(_packed_name(number), None) for number in range(len(records))]
    each = zip(features.networks, records, contents, strict=True)
    return features.with_networks(
        [
            named[record.identity] if record.identity in named else _found(network, record, content, beside, cache)
            for network, record, content in each
        ]
    )


def _instead(networks: Sequence[Network], records: Sequence[BackboneRecord], name: str) -> dict[str, Network]:
    """Return the network that a file or a name is, by its identity. Raises BadInput if it is none of them."""
    if Path(name).suffix:
        check_file(name)
    for network, record in zip(networks, records, strict=True):
        if _is(chosen := _named(network, name), record):
            return {record.identity: chosen}
    raise BadInput(f"{name}: is another backbone than {' or '.join(map(_brief, records))}; give that one")


def _found(network: Network, record: BackboneRecord, content: np.ndarray | None, beside: Path, cache: Path) -> Network:
    """Return the network as it is named on this machine. Raises BadInput if it is not found."""
    if content is not None:
        Store(cache).get(KeptBackbone(record.identity, record.file, content))
    for chosen in _candidates(network, record, beside, cache):
        if _is(chosen, record):
            return chosen
    raise BadInput(
        f"{beside}: needs the backbone {_brief(record)}, which is not on this machine; give --backbone FILE, or fit "
        "the classifier with --with-backbone"
    )


def _is(network: Network, record: BackboneRecord) -> bool:
    """Whether the network can be had here, and is the one that was recorded."""
    try:
        return source_of(network).identity == record.identity
    except BadInput:
        return False


def _candidates(network: Network, record: BackboneRecord, beside: Path, cache: Path) -> Iterator[Network]:
    yield network
    if (kept := KeptBackbone(record.identity, record.file).path(cache)) is not None:
        yield _named(network, str(kept))
    for folder in (beside.parent, Path.cwd()):
        yield _named(network, str(folder / Path(record.file).name))


def _named(network: Network, name: str) -> Network:
    """Return another program, or the network with other weights."""
    if is_program(network) or not Path(name).suffix:
        return replace(network, backbone=name)
    return replace(network, weights=name)


def _brief(record: BackboneRecord) -> str:
    return f"{Path(record.file).name} ({record.identity})"
