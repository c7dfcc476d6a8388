"""Batches of images as a head sees them, and the sets that they are taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fsamc.config.representation import Part
from fsamc.representation.units import Scaling

Rows = Sequence[int] | np.ndarray


@dataclass(frozen=True)
class Represented:
    """A batch of images.

    Attributes:
        values: float32 [B, N, D]: of heads on vectors a unit vector for each of N views; of heads on maps the N
            patches in their places.
        profiles: float32 [B, R], how far the anomaly reaches, weighted; R = 0 where it is left out.
    """

    values: Tensor
    profiles: Tensor

    def take(self, rows: Sequence[int]) -> Represented:
        """Take some of the images."""
        return Represented(self.values[rows], self.profiles[rows])

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class PartsOf:
    """Parts of patches side by side: minus what is normal there, minus the mean normal patch, or raw.

    Attributes:
        parts: in order; D channels each.
        mean: float32 [D], the mean normal patch; None where no part needs it.
        scaling: brings a part into its units.
        device: where the arithmetic runs.
    """

    parts: tuple[Part, ...]
    mean: np.ndarray | None
    scaling: Scaling | None
    device: str

    def __call__(self, patches: np.ndarray, normal: np.ndarray, *, unit: bool = False) -> Tensor:
        """Compute the parts of patches [..., D], float32 [..., parts * D]; `unit`: each part of length one."""
        features = torch.from_numpy(patches.astype(np.float32)).to(self.device)
        parts = [self._scaled(self._part(part, features, normal)) for part in self.parts]
        return torch.cat([F.normalize(one, dim=-1) for one in parts] if unit else parts, dim=-1)

    def _part(self, part: Part, features: Tensor, normal: np.ndarray) -> Tensor:
        if part == "residual":
            return features - torch.from_numpy(normal.astype(np.float32)).to(self.device)
        if part == "centred":
            assert self.mean is not None
            return features - torch.from_numpy(self.mean.copy()).to(self.device)
        return features

    def _scaled(self, values: Tensor) -> Tensor:
        return values if self.scaling is None else self.scaling(values)


class VectorSet:
    """Vectors of all images of a set, made at once: some kilobytes each.

    Args:
        patches, normal: float32 [n, V, D], means over the region of each view, and of what is normal there.
        profiles: float32 [n, R], weighted.
        parts: what becomes of them.
    """

    def __init__(self, patches: np.ndarray, normal: np.ndarray, profiles: np.ndarray, parts: PartsOf) -> None:
        self.device = parts.device
        unit = parts(patches, normal, unit=True) / len(parts.parts) ** 0.5
        self._all = Represented(unit, torch.from_numpy(profiles).to(parts.device))
        self._rows = np.arange(len(patches))
        self._views = np.arange(patches.shape[1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of views, channels of all parts, length of a profile."""
        return len(self._views), self._all.values.shape[2], self._all.profiles.shape[1]

    def take(self, rows: Rows) -> Represented:
        """Take the vectors of these images."""
        images = torch.from_numpy(self._rows[np.asarray(rows, np.int64)])
        views = torch.from_numpy(self._views)
        return Represented(self._all.values[images[:, None], views], self._all.profiles[images])

    def only(self, rows: np.ndarray) -> VectorSet:
        """Keep some of the images."""
        return self._kept(self._rows[rows], self._views)

    def part(self, values: slice | list[int]) -> VectorSet:
        """Keep some of the views."""
        return self._kept(self._rows, self._views[values])

    def _kept(self, rows: np.ndarray, views: np.ndarray) -> VectorSet:
        part = object.__new__(VectorSet)
        part.device, part._all, part._rows, part._views = self.device, self._all, rows, views
        return part

    def __len__(self) -> int:
        return len(self._rows)


@dataclass(frozen=True)
class MapSet:
    """Images' maps, all patches in their places, computed when taken: only the features and normal rows are held.

    Attributes:
        features: float16 [n, P, D], memory-mapped.
        normal: float16 or float32 [K, D], the rows that are normal.
        indices: int [n, P], which row belongs to each patch.
        parts: what becomes of them.
        kept: int64 [m], which of the n images these are; None for all of them.
    """

    features: np.ndarray
    normal: np.ndarray
    indices: np.ndarray
    parts: PartsOf
    kept: np.ndarray | None = None

    @property
    def device(self) -> str:
        """Where the parts are computed."""
        return self.parts.device

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of patches, channels of all parts, and no profile."""
        return self.features.shape[1], self.features.shape[2] * len(self.parts.parts), 0

    def take(self, rows: Rows) -> Represented:
        """Make the maps of these images."""
        rows = np.asarray(rows, dtype=np.int64)
        rows = rows if self.kept is None else self.kept[rows]
        values = self.parts(self.features[rows], self.normal[self.indices[rows]])
        return Represented(values, values.new_empty(len(values), 0))

    def only(self, rows: np.ndarray) -> MapSet:
        """Keep some of the images."""
        return replace(self, kept=rows if self.kept is None else self.kept[rows])

    def part(self, values: slice) -> MapSet:
        """Keep some of the patches."""
        return replace(self, features=self.features[:, values], indices=self.indices[:, values])

    def __len__(self) -> int:
        return len(self.indices if self.kept is None else self.kept)


RepresentedSet = VectorSet | MapSet
"""Images that are represented when they are taken."""


def concatenate(batches: Sequence[Represented]) -> Represented:
    """One batch of several."""
    return Represented(torch.cat([b.values for b in batches]), torch.cat([b.profiles for b in batches]))


def mean(batch: Represented) -> Represented:
    """Average a class's images into one (`support.mean: residual`), a batch of one."""
    return Represented(batch.values.mean(0, keepdim=True), batch.profiles.mean(0, keepdim=True))
