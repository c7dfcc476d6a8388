"""Backbone of a classifier on this machine: found by its content, wherever it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from fsamc.classifier.model_file import BackboneRecord
from fsamc.config.dotted import updated
from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features.networks.lookup import is_program
from fsamc.features.weights import identity, named_file, origin
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


def record_of(features: Features) -> BackboneRecord:
    """Describe the network that features name. Raises BadInput if it cannot be had."""
    return BackboneRecord(identity=identity(features), file=named_file(features), origin=origin(features))


def content_of(features: Features) -> np.ndarray:
    """Return the bytes of the network's file, uint8 [n]. Raises BadInput if a library has it, and no file."""
    file = Path(named_file(features))
    if not file.is_file():
        raise BadInput(f"{features.backbone}: comes with a library and is no file that could be packed; leave it out")
    return np.frombuffer(file.read_bytes(), np.uint8)


def keep(features: Features, cache: Path) -> None:
    """Keep a copy of the network's file in the cache, where a classifier finds it when the file has moved."""
    if is_program(features) or features.weights not in (None, "random"):
        Store(cache).get(KeptBackbone(identity(features), named_file(features)))


def located(
    features: Features,
    record: BackboneRecord,
    *,
    beside: Path,
    instead: str | None,
    content: np.ndarray | None,
    cache: Path,
) -> Features:
    """Return the features with the network as it is named on this machine.

    Args:
        features: as they were where the classifier was fitted.
        record: the network.
        beside: the classifier's file; its folder is looked into.
        instead: a file or a name that the user says it is.
        content: the network's file, where it is packed.
        cache: the user's cache folder.

    Raises:
        BadInput: it is not found, or `instead` is another network.
    """
    if instead is not None:
        chosen = _named(features, instead)
        if identity(chosen) != record.identity:
            raise BadInput(f"{instead}: is another backbone than {_brief(record)}; give that one")
        return chosen
    if content is not None:
        Store(cache).get(KeptBackbone(record.identity, record.file, content))
    for chosen in _candidates(features, record, beside, cache):
        try:
            if identity(chosen) == record.identity:
                return chosen
        except BadInput:
            continue
    raise BadInput(
        f"{beside}: needs the backbone {_brief(record)}, which is not on this machine; give --backbone FILE, or fit "
        "the classifier with --with-backbone"
    )


def _candidates(features: Features, record: BackboneRecord, beside: Path, cache: Path) -> Iterator[Features]:
    yield features
    if (kept := KeptBackbone(record.identity, record.file).path(cache)) is not None:
        yield _named(features, str(kept))
    for folder in (beside.parent, Path.cwd()):
        yield _named(features, str(folder / Path(record.file).name))


def _named(features: Features, name: str) -> Features:
    """Return the features with another program, or other weights of the network that they name."""
    if is_program(features) or not Path(name).suffix:
        return updated(features, {"backbone": name})
    return updated(features, {"weights": name})


def _brief(record: BackboneRecord) -> str:
    return f"{Path(record.file).name} ({record.identity})"
