"""Network identity: the weights that a configuration names, by content. Loads no torch."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import xxhash

from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.store.digests import file_digest

RANDOM_WEIGHTS = "random backbone: accuracies are not comparable"


def is_program(features: Features) -> bool:
    """Whether the backbone is a torch.export program, and not a torchvision name."""
    return features.backbone.endswith(".pt2")


def is_random(features: Features) -> bool:
    """Whether the weights mean nothing: such a run carries the caveat `RANDOM_WEIGHTS`."""
    return features.weights == "random"


def identity(features: Features) -> str:
    """Return what the network is: the same for a file under any name, another once the file's content changes."""
    if is_program(features):
        return f"program:{check_file(features.backbone)}"
    weights = "IMAGENET1K_V1" if features.weights is None else features.weights
    if weights not in ("IMAGENET1K_V1", "random"):
        weights = check_file(weights)
    return f"torchvision:{features.backbone}:{weights}"


def named_file(features: Features) -> str:
    """Return the file that the network is read from, or its name where torchvision has it."""
    return features.backbone if is_program(features) else features.weights or features.backbone


def check_file(path: str) -> str:
    """Hash a weights file's content, read again once the file has changed. Raises BadInput if it is not there."""
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file; give the path of a .pt2 program, .pth or .safetensors weights")
    status = Path(path).stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


def read_checked(path: str) -> bytes:
    """Read a weights file whole: the bytes that `check_file` has hashed. Raises BadInput if they are others now."""
    expected = check_file(path)
    content = Path(path).read_bytes()
    if xxhash.xxh3_128_hexdigest(content) != expected:
        raise BadInput(f"{path}: has changed since it was hashed; start again, and leave the file as it is")
    return content


@lru_cache(maxsize=16)
def _digest(path: str, _size: int, _modified: int) -> str:
    return file_digest(Path(path))
