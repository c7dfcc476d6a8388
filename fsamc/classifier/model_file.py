"""File of a classifier: arrays as safetensors, all else as JSON in its header. Nothing in it is run or unpickled."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from pydantic import ConfigDict, Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from fsamc.config.settings import Settings
from fsamc.errors import BadInput
from fsamc.features.networks.weights_file import brief
from fsamc.store.durable import write_whole
from fsamc.store.shrinking import Shrunk, grow, shrink

FORMAT = 1  # raised when an older fsamc can no longer read what a newer one writes
LEFT_OUT = "leave one out"  # among `scored`, what photos gave that were left out one by one
_HEADER, _CHECKSUM = "fsamc", "checksum"
_LARGEST = 2 << 30  # bytes; a classifier is some megabytes, and a backbone packed into it some hundred


class PhotoRecord(Settings):
    """A support photo or a good image, without its picture."""

    name: str
    label: str
    digest: str


class BackboneRecord(Settings):
    """The network that features are extracted with.

    Attributes:
        identity: what tells it from every other network, by content.
        file: where it was read from, or its name where a library has it.
        origin: where its weights come from, and their licence.
        packed: whether its file is in this one.
    """

    identity: str
    file: str
    origin: str
    packed: bool = False


class Record(Settings):
    """All of a classifier that is no array.

    Attributes:
        format: of the file.
        version: of the fsamc that wrote it.
        written: when, ISO 8601.
        category: name of the product.
        seed: of the bank and the head.
        config: of a fold, every knob.
        photos: the support, in the order of the arrays.
        backbone: the network.
        others: further networks, whose maps stand beside its.
        shape: N, D and R of what the head sees.
        threshold: a picture is called defective if its anomaly is above.
        good: how many good images it has learnt from.
        fingerprint: hash of their contents.
        held_out: some of them, those first that the threshold was set on.
        places: hash under which the cache of the machine that has fitted it knows where these and the photos are.
        scored: accuracies in [0, 1] by how they were measured.
        shrunk: arrays that are kept shrunk; the file's own affair.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    format: int = FORMAT
    version: str
    written: str
    category: str
    seed: int
    config: dict[str, Any]
    photos: tuple[PhotoRecord, ...] = Field(min_length=2)
    backbone: BackboneRecord
    others: tuple[BackboneRecord, ...] = ()
    shape: tuple[int, int, int]
    threshold: float | None
    good: int = Field(ge=1)
    fingerprint: str
    held_out: tuple[PhotoRecord, ...] = ()
    places: str = ""
    scored: dict[str, float] = Field({})
    shrunk: dict[str, Shrunk] = Field({})

    @property
    def backbones(self) -> tuple[BackboneRecord, ...]:
        """All of the networks, in order."""
        return self.backbone, *self.others


def write_model(path: Path, record: Record, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a classifier's file whole or not at all. Raises OSError, which names it."""
    written, shrunk = shrink(arrays)
    text = record.model_copy(update={"shrunk": shrunk}).model_dump_json()
    write_whole(path, save(written, {_HEADER: text, _CHECKSUM: _checksum(text, written)}))


def read_model(path: Path) -> tuple[Record, dict[str, np.ndarray]]:
    """Read what `write_model` wrote.

    Raises:
        BadInput: there is no such file, it is another one's, cut or changed, or of a newer fsamc.
    """
    content = _content(path)
    try:
        metadata = _metadata(content)
        arrays: dict[str, np.ndarray] = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise BadInput(f"{path}: no classifier of fsamc, or cut ({brief(error)}); copy it anew") from error
    if _HEADER not in metadata:
        raise BadInput(f"{path}: no classifier of fsamc; expected a file that `fsamc fit` wrote")
    record = _record(path, metadata[_HEADER])
    if metadata.get(_CHECKSUM) != _checksum(metadata[_HEADER], arrays):
        raise BadInput(f"{path}: is damaged, its checksum differs; copy it anew, or fit it again")
    try:
        grown = grow(arrays, record.shrunk)
    except (ValueError, KeyError, zlib.error) as error:
        raise BadInput(f"{path}: is damaged ({brief(error)}); copy it anew, or fit it again") from error
    return record.model_copy(update={"shrunk": {}}), grown


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise BadInput(f"{path}: no such file; expected a classifier that `fsamc fit` wrote")
    if path.stat().st_size > _LARGEST:
        raise BadInput(f"{path}: {path.stat().st_size} bytes, no classifier of fsamc; at most {_LARGEST} are read")
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); make it readable") from error


def _metadata(content: bytes) -> dict[str, str]:
    """Return the texts in the header of safetensors' content. Raises ValueError for what is no such header."""
    length = int.from_bytes(content[:8], "little")
    if length > len(content) - 8:
        raise ValueError("its header is longer than the file")
    header = json.loads(content[8 : 8 + length])
    if not isinstance(header, dict):
        raise ValueError("its header is no object")
    metadata = header.get("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise ValueError("its header holds no texts")
    return metadata


def _record(path: Path, text: str) -> Record:
    try:
        tree = json.loads(text)
        number = tree["format"]
        if not isinstance(number, int) or number > FORMAT:
            raise BadInput(
                f"{path}: written by fsamc {tree.get('version')} in format {number}, newer than {FORMAT}; update fsamc"
            )
        return Record.model_validate(tree)
    except (ValidationError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: is damaged ({brief(error)}); copy it anew, or fit it again") from error


def _checksum(text: str, arrays: Mapping[str, np.ndarray]) -> str:
    """Hash the texts, and every array with its name, type and shape."""
    hasher = xxhash.xxh3_128(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        hasher.update(f"{name} {array.dtype} {array.shape}".encode())
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()
