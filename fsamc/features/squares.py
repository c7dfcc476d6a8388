"""Images of a category and textures, read from their files as the network sees them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fsamc.config.features import Features
from fsamc.data.category import Category
from fsamc.data.images import read_image, to_square
from fsamc.data.textures import Textures
from fsamc.features.networks.lookup import network_source


def read_squares(images: Category | Textures, paths: Sequence[str], features: Features) -> np.ndarray:
    """Read images at `paths`, relative to the folder, as squares uint8 [n, S, S, 3] with S = `features.size`.

    Raises BadInput for a file whose bytes are no longer those that were hashed.
    """
    interpolation = network_source(features).preprocessing.interpolation
    pictures = (read_image(images.folder / path, images.digests[path]) for path in paths)
    return np.stack([to_square(picture, features, interpolation) for picture in pictures])
