"""Random numbers from a seed and a purpose. Nothing here or elsewhere touches a global generator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xxhash

if TYPE_CHECKING:
    import torch


def derive(*parts: object) -> int:
    """Return a 63-bit seed from what it is for, e.g. `derive(seed, "coreset starts")`: the same in every process."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return xxhash.xxh3_64_intdigest(text.encode()) >> 1


def numpy_generator(*parts: object) -> np.random.Generator:
    """Return a NumPy generator seeded by `derive(*parts)`."""
    return np.random.default_rng(derive(*parts))


def torch_generator(*parts: object) -> torch.Generator:
    """Return a CPU torch generator seeded by `derive(*parts)`: draws on the CPU are the same whatever the device."""
    import torch  # here, because choosing a support must not load it

    return torch.Generator().manual_seed(derive(*parts))
