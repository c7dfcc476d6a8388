"""Images of a category and textures, read from their files as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fsamc.config.features import Features
from fsamc.data.category import Category
from fsamc.data.images import read_image, to_square
from fsamc.data.textures import Textures
from fsamc.features.networks.lookup import network_source

KEPT = 256  # squares of a category that stay in memory, some 40 MB


class Squares:
    """Images of a category as squares uint8 [S, S, 3], each read when it is asked for; the last ones are kept.

    Args:
        images: a category or textures.
        paths: of the images, relative to the folder.
        features: how they become squares.
    """

    def __init__(self, images: Category | Textures, paths: Sequence[str], features: Features) -> None:
        self._paths = paths
        self._read = lru_cache(KEPT)(lambda path: read_squares(images, [path], features)[0])

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int, /) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._read(self._paths[index])


def read_squares(images: Category | Textures, paths: Sequence[str], features: Features) -> np.ndarray:
    """Read images at `paths`, relative to the folder, as squares uint8 [n, S, S, 3] with S = `features.size`.

    Raises BadInput for a file whose bytes are no longer those that were hashed.
    """
    interpolation = network_source(features).preprocessing.interpolation
    pictures = (read_image(images.folder / path, images.digests[path]) for path in paths)
    return np.stack([to_square(picture, features, interpolation) for picture in pictures])
