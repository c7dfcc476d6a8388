"""Patch features of a category's pictures: what feature sets and pseudo-defects share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fsamc.artifacts.base import Artifact
from fsamc.config.compute import Compute
from fsamc.config.features import Features
from fsamc.data.category import Category
from fsamc.features.weights import identity


@dataclass(frozen=True, kw_only=True)
class PatchFeatures(ABC):
    """Patch features `features` float16 [n, P, D] of n pictures (paper 3.2)."""

    category: Category
    features: Features
    compute: Compute

    @property
    @abstractmethod
    def n_pictures(self) -> int:
        """How many pictures go through the backbone, n."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """[n, P, D]. Loads the backbone."""
        from fsamc.features.backbone import load_backbone

        return self.n_pictures, load_backbone(self.features, "cpu").patches, self.features.dim

    @property
    def nbytes(self) -> int:
        """Two for each number."""
        return 2 * prod(self.shape)

    @property
    def served_by(self) -> None:
        """No actor: workers map the file."""
        return

    def needs(self) -> Sequence[Artifact]:
        """Return nothing: it starts from images."""
        return ()

    @property
    def _network(self) -> tuple[Any, ...]:
        """What of the key stands for the backbone, its settings and the arithmetic."""
        settings = self.features.model_dump(mode="json", exclude={"backbone", "weights"})
        return identity(self.features), settings, self.compute.model_dump(mode="json")

    def _extract(self, squares: Iterator[np.ndarray], into: Path) -> None:
        """Stream the pictures, uint8 [S, S, 3] each, through the backbone."""
        from fsamc.features.extraction import write_features
        from fsamc.hardware import threads

        with threads(self.compute):
            write_features(squares, self.n_pictures, self.features, self.compute.device, into / "features.npy")
