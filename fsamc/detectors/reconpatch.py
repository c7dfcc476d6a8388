"""ReconPatch: PatchCore in an embedding of patches that is learnt from the good ones (Hyun et al., WACV 2024)."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsamc.detectors.detector_kinds import ReconPatchSettings
from fsamc.detectors.good_images import GoodImages, PatchRows, patches_of
from fsamc.detectors.nearest import nearest
from fsamc.detectors.patchcore import Coreset
from fsamc.seeds import numpy_generator, torch_generator


class ReconPatch(Coreset[ReconPatchSettings]):
    """The memory bank, chosen and searched in the embedding; what is subtracted is the row's own feature.

    Keeps `rows` float16 [K, D] and `indices` int64 [K], as PatchCore does, `matrix` float32 [D, E] and `embedded`
    float32 [K, E]. Published are AdamP, many epochs and a schedule; here it is Adam, for some batches.
    """

    measures: ClassVar[bool] = True

    @classmethod
    def learn(
        cls, good: GoodImages, settings: ReconPatchSettings, *, seed: int, device: str = "cpu"
    ) -> dict[str, np.ndarray]:
        """Learn the embedding, and choose the coreset in it."""
        patches = patches_of(good)
        embedded = EmbeddedPatches(patches, learn_embedding(patches, settings, seed=seed, device=device))
        chosen = cls.choose(embedded, settings, seed=seed, device=device)
        rows = patches[chosen].astype(np.float16)
        return {"indices": chosen, "rows": rows, "matrix": embedded.matrix, "embedded": embed(rows, embedded.matrix)}

    @classmethod
    def bytes_kept(cls, settings: ReconPatchSettings, good: tuple[int, int, int]) -> int:
        """Count the rows, the rows embedded, and the matrix."""
        n_images, n_patches, dim = good
        return (2 * dim + 4 * settings.embedding) * settings.count(n_images * n_patches) + 4 * dim * settings.embedding

    def compare(self, features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compare by exact L2 in the embedding, with one neighbour."""
        queries = embed(features.reshape(-1, features.shape[-1]), self.kept["matrix"])
        distances, indices = nearest(queries, self.kept["embedded"], device=self.device)
        return distances.reshape(features.shape[:2]), indices.reshape(features.shape[:2])


@dataclass(frozen=True, eq=False)
class EmbeddedPatches:
    """Patches one after the other, embedded when they are taken: float32 [N, E]."""

    patches: PatchRows
    matrix: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        """How many there are, and E."""
        return len(self.patches), self.matrix.shape[1]

    def __len__(self) -> int:
        return len(self.patches)

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        return embed(self.patches[rows], self.matrix)


def embed(patches: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Embed patches [N, D] by a matrix [D, E]: float32 [N, E]. A patch's answer is its own, whoever is beside it."""
    embedded: np.ndarray = (patches.astype(np.float64) @ matrix.astype(np.float64)).astype(np.float32)
    return embedded


def learn_embedding(patches: PatchRows, settings: ReconPatchSettings, *, seed: int, device: str = "cpu") -> np.ndarray:
    """Learn to bring patches together that are alike, and others apart: a matrix float32 [D, E].

    What is alike is said by a slower copy of the network, which follows it by `momentum`. The loss is over a further
    linear layer, which is left out afterwards (section 3.2).
    """
    draws, weights = numpy_generator(seed, "reconpatch batches"), torch_generator(seed, "reconpatch weights")
    dim, channels, size = patches.shape[1], settings.embedding, min(settings.batch, len(patches))
    first, second = nn.Linear(dim, channels, bias=False), nn.Linear(channels, channels, bias=False)
    for layer in (first, second):
        nn.init.orthogonal_(layer.weight, generator=weights)
    layers = nn.Sequential(first, second)
    layers.to(device)
    slower, unit = copy.deepcopy(layers).requires_grad_(False), None
    optimiser = torch.optim.Adam(layers.parameters(), lr=settings.lr)
    for _ in range(settings.steps):
        rows = np.sort(draws.choice(len(patches), size, replace=False))
        batch = torch.from_numpy(patches[rows].astype(np.float32)).to(device)
        unit = batch.std() if unit is None else unit
        alike = likeness(slower(batch / unit), settings)
        optimiser.zero_grad()
        relaxed_contrastive_loss(layers(batch / unit), alike, settings.margin).backward()
        optimiser.step()
        for slow, fast in zip(slower.parameters(), layers.parameters(), strict=True):
            slow.lerp_(fast, 1 - settings.momentum)
    return first.weight.detach().T.contiguous().cpu().numpy()


def likeness(embedded: Tensor, settings: ReconPatchSettings) -> Tensor:
    """Say how alike patches [N, E] are, [N, N] in [0, 1]: by distance and by neighbours in common (section 3.2).

    Of the k nearest of each patch, itself among them, those of its k / 2 nearest are averaged, and both directions.
    """
    squares = _squared_distances(embedded)
    by_distance = torch.exp(-squares / (settings.bandwidth * squares.mean()).clamp_min(1e-12))
    order = squares.fill_diagonal_(-1.0).argsort(dim=1)  # a patch is its own nearest, also beside its double
    k = min(settings.neighbours, len(embedded))
    near = torch.zeros_like(squares).scatter_(1, order[:, :k], 1.0)
    shared = near * (near @ near.T) / k
    around = shared[order[:, : max(1, k // 2)]].mean(1)
    by_context = (around + around.T) / 2
    return settings.contextual * by_context + (1 - settings.contextual) * by_distance


def relaxed_contrastive_loss(embedded: Tensor, alike: Tensor, margin: float) -> Tensor:
    """Pull patches [N, E] together by how alike they are [N, N], and push others to a margin apart (section 3.2).

    Distances are in means of the distances from a patch.
    """
    apart = _squared_distances(embedded).clamp_min(1e-12).sqrt()
    apart = apart / apart.mean(dim=1, keepdim=True)
    return (alike * apart.square() + (1 - alike) * F.relu(margin - apart).square()).sum(1).mean()


def _squared_distances(rows: Tensor) -> Tensor:
    squares = rows.square().sum(1)
    return (squares[:, None] + squares - 2 * rows @ rows.T).clamp_min(0.0)
