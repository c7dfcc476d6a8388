"""Patch features of many pictures, streamed through the backbone into a file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from fsamc.config.features import Features
from fsamc.features.backbone import load_backbone
from fsamc.features.patches import patch_features_of
from fsamc.hardware import shrinking_batches
from fsamc.store.arrays import create_array

_FLOAT16 = torch.finfo(torch.float16)


def write_features(squares: Iterator[np.ndarray], count: int, features: Features, device: str, file: Path) -> None:
    """Stream `count` pictures uint8 [S, S, 3] into the memory-mapped .npy `file`, float16 [count, P, D].

    Raises:
        ValueError: a feature is beyond the range of float16.
    """
    written: np.memmap | None = None
    for first, half in _batches(squares, count, features, device):
        if written is None:
            written = create_array(file, np.float16, (count, *half.shape[1:]))
        written[first : first + len(half)] = half
    if written is not None:
        written.flush()


def square_features(
    squares: np.ndarray, features: Features, device: str, places: np.ndarray | None = None
) -> np.ndarray:
    """Extract the patch features of pictures uint8 [n, S, S, 3], float16 [n, P, D]; [n, k, D] at places int64 [n, k].

    Raises:
        ValueError: a feature is beyond the range of float16.
    """
    half = _features(squares, features, device, places).half().cpu().numpy()
    if not np.isfinite(half).all():
        raise ValueError(f"{features.title}: features exceed the range of float16")
    return half


def range_problem(squares: np.ndarray, features: Features) -> str | None:
    """Say why float16 cannot hold the features of pictures uint8 [n, S, S, 3], and what to do; None if it can."""
    sizes = _features(squares, features, "cpu").abs()
    positive = sizes[sizes > 0]
    if not sizes.isfinite().all():
        return "gives NaN or infinity; mend the network, or give other weights"
    if not len(positive):
        return "gives nothing but zeros; mend the network, or give other weights"
    largest, middle = float(sizes.max()), float(positive.median())
    if largest > _FLOAT16.max:
        factor = 2.0 ** -math.ceil(math.log2(largest))
        return f"gives features up to {largest:.1e}, float16 holds {_FLOAT16.max}; multiply its outputs by {factor:.1e}"
    if middle < _FLOAT16.tiny:
        factor = 2.0 ** -math.ceil(math.log2(largest))
        return f"gives features around {middle:.1e}, which float16 rounds off; multiply its outputs by {factor:.1e}"
    return None


def _features(squares: np.ndarray, features: Features, device: str, places: np.ndarray | None = None) -> torch.Tensor:
    network = load_backbone(features, device)
    with torch.inference_mode():
        return patch_features_of(network.of_squares(squares), dim=features.dim, places=places)


def _batches(
    squares: Iterator[np.ndarray], count: int, features: Features, device: str
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield features with the first one's number; a batch that the card is too small for is tried in halves."""
    waiting: list[np.ndarray] = []

    def extract(first: int, last: int) -> np.ndarray:
        waiting.extend(islice(squares, max(0, last - first - len(waiting))))
        half = square_features(np.stack(waiting[: last - first]), features, device)
        del waiting[: last - first]
        return half

    return shrinking_batches(extract, count, features.batch)
