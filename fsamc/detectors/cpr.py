"""CPR: good images with the most similar histograms, then their patches near the same place (Li et al., 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from math import isqrt

import numpy as np
import torch

from fsamc.detectors.base import Retrieval, channel_spread, image_means
from fsamc.detectors.detector_kinds import CprSettings
from fsamc.detectors.good_images import GoodImages, patches_of
from fsamc.detectors.nearest import nearest
from fsamc.seeds import derive, numpy_generator


class Cpr(Retrieval[CprSettings]):
    """The retrieval and the search of Cascade Patch Retrieval, on frozen features: its learnt metric is left out.

    Each patch is given a word, and each block of the image a histogram of its patches' words. Images are as alike as
    their histograms intersect: the number of patches that two images have in common, by word and block. The published
    method compares by KL divergence, over the blocks that agree best. Keeps `words` float32 [W, D], `histograms` int32
    [G, blocks * blocks * W] and `scale`, over all good patches.
    """

    @classmethod
    def learn(cls, good: GoodImages, settings: CprSettings, *, seed: int, device: str = "cpu") -> dict[str, np.ndarray]:
        """Learn the words of the good patches, and every good image's histograms."""
        words = visual_words(good, settings.words, seed)
        counts = np.stack([histograms(image, words, settings.blocks, device=device) for image in good])
        scale = channel_spread(good, image_means(good).mean(axis=0, dtype=np.float64))
        return {"words": words, "histograms": counts, "scale": scale}

    @classmethod
    def bytes_kept(cls, settings: CprSettings, good: tuple[int, int, int]) -> int:
        """Count the words and the histograms."""
        return 4 * settings.words * (good[2] + good[0] * settings.blocks**2)

    def unlikeness(self, image: np.ndarray) -> np.ndarray:
        """Return minus the intersection of the histograms, in patches."""
        counts = histograms(image, self.kept["words"], self.settings.blocks, device=self.device)
        shared: np.ndarray = np.minimum(self.kept["histograms"], counts).sum(axis=1)
        return -shared

    def match(self, image: np.ndarray, retrieved: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Search by exact L2 their patches within `window` grid steps; of equal distances the lower row."""
        n_patches = len(image)
        side = _side(n_patches)
        grid = (side, side, image.shape[-1])
        patches = torch.from_numpy(image.astype(np.float32)).to(self.device).view(grid)
        theirs = torch.from_numpy(self.good[retrieved].astype(np.float32)).to(self.device).view(-1, *grid)
        numbers = (retrieved[:, None] * n_patches + np.arange(n_patches)).reshape(-1, side, side)
        distances, rows = np.full((side, side), np.inf, np.float32), np.full((side, side), numbers.max() + 1)
        for here, there in _shifts(min(self.settings.window, side - 1)):
            apart = torch.linalg.vector_norm(theirs[:, *there] - patches[here], dim=-1).cpu().numpy()  # [R, h, w]
            best = apart.argmin(axis=0)[None]
            distance = np.take_along_axis(apart, best, 0)[0]
            row = np.take_along_axis(numbers[:, *there], best, 0)[0]
            closer = (distance < distances[here]) | ((distance == distances[here]) & (row < rows[here]))
            distances[here] = np.where(closer, distance, distances[here])
            rows[here] = np.where(closer, row, rows[here])
        return distances.ravel(), rows.ravel()


def visual_words(good: GoodImages, count: int, seed: int) -> np.ndarray:
    """Find the k-means of good patches [G, P, D]: centres float32 [W, D]; no more than there are patches.

    One pass in a random order, in batches of about an image's size: the patches are never all in memory.
    """
    from sklearn.cluster import MiniBatchKMeans  # here, because its loading takes seconds and only learning needs it
    from threadpoolctl import threadpool_limits

    patches = patches_of(good)
    words = min(count, len(patches))
    batches = max(1, len(patches) // max(good.shape[1], words))
    order = numpy_generator(seed, "cpr order").permutation(len(patches))
    means = MiniBatchKMeans(words, random_state=derive(seed, "cpr words") % 2**32, n_init=1)
    with threadpool_limits(torch.get_num_threads()):
        for batch in np.array_split(order, batches):
            means.partial_fit(patches[np.sort(batch)].astype(np.float32))
    return np.asarray(means.cluster_centers_, dtype=np.float32)


def histograms(image: np.ndarray, words: np.ndarray, blocks: int, *, device: str = "cpu") -> np.ndarray:
    """Count the patches [P, D] of each block that have each word as their nearest: int32 [blocks * blocks * W]."""
    side = _side(len(image))
    place = np.arange(side) * blocks // side
    block = (place[:, None] * blocks + place).ravel()
    _, word = nearest(image, words, device=device)
    return np.bincount(block * len(words) + word, minlength=blocks * blocks * len(words)).astype(np.int32)


def _side(n_patches: int) -> int:
    side = isqrt(n_patches)
    assert side * side == n_patches, "the network sees squares"
    return side


def _shifts(window: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield, per step within the window, the places that have a neighbour there, and the neighbours' places."""
    steps = range(-window, window + 1)
    for down in steps:
        for right in steps:
            yield (_cut(-down), _cut(-right)), (_cut(down), _cut(right))


def _cut(step: int) -> slice:
    """Take all places but the first `step`, or but the last `-step`."""
    return slice(step, None) if step > 0 else slice(None, step or None)
