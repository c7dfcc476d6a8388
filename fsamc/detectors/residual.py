"""Residual maps: patch features minus what would be normal there (paper 3.4, eq. 2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Maps:
    """A batch of images as a head sees them.

    Attributes:
        values: float32 [B, P, D], residual maps or raw features.
        distances: float32 [B, P], how far each patch is from what would be normal there.
    """

    values: Tensor
    distances: Tensor

    def take(self, rows: Sequence[int]) -> Maps:
        """Take some of the images."""
        return Maps(self.values[rows], self.distances[rows])

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class ResidualMaps:
    """Images' residual maps, computed when taken: only the features and the normal rows are held.

    Attributes:
        features: float16 [n, P, D], memory-mapped.
        normal: float16 [K, D], the rows that are subtracted.
        indices: int [n, P], which row belongs to each patch.
        distances: float32 [n, P], a detector's own; None where they are the lengths of the residuals.
        kept: int64 [m], which of the n images these are; None for all of them.
        residual: False gives the raw features; the distances stay (tables 5 and 11).
        scale: float32 [D], what the values are divided by; the distances are not. None leaves them.
        device: where the batches go.
    """

    features: np.ndarray
    normal: np.ndarray
    indices: np.ndarray
    residual: bool
    scale: np.ndarray | None
    device: str
    distances: np.ndarray | None = None
    kept: np.ndarray | None = None

    def only(self, rows: np.ndarray) -> ResidualMaps:
        """Take some of the images, none of them copied."""
        return replace(self, kept=rows if self.kept is None else self.kept[rows])

    def take(self, rows: Sequence[int] | np.ndarray) -> Maps:
        """Make the maps of these images."""
        rows = np.asarray(rows, dtype=np.int64)
        rows = rows if self.kept is None else self.kept[rows]
        features = torch.from_numpy(self.features[rows].astype(np.float32)).to(self.device)
        nearest = torch.from_numpy(self.normal[self.indices[rows]].astype(np.float32)).to(self.device)
        difference = features - nearest
        if self.distances is None:
            distances = torch.linalg.vector_norm(difference, dim=-1)
        else:
            distances = torch.from_numpy(self.distances[rows]).to(self.device)
        values = difference if self.residual else features
        if self.scale is not None:
            values = values / torch.tensor(self.scale, device=self.device)
        return Maps(values, distances)

    def __len__(self) -> int:
        return len(self.indices if self.kept is None else self.kept)


def channel_scale(rows: np.ndarray) -> np.ndarray:
    """Compute the standard deviation per channel of a bank's rows [K, D], float32 [D]; 1 where one never varies."""
    deviation = rows.std(axis=0, dtype=np.float32)
    return np.where(deviation > 0, deviation, np.float32(1))


def concatenate(batches: Sequence[Maps]) -> Maps:
    """One batch of several."""
    return Maps(torch.cat([b.values for b in batches]), torch.cat([b.distances for b in batches]))


def mean(batch: Maps) -> Maps:
    """Average maps to a batch of one: what `support.mean: residual` does to a class's support."""
    return Maps(batch.values.mean(0, keepdim=True), batch.distances.mean(0, keepdim=True))
