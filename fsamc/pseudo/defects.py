"""Pseudo-defects: textures blended into good images, pseudo-class by pseudo-class (paper 3.5, Figure 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fsamc.config.pseudo import Pseudo
from fsamc.pseudo.classes import pseudo_classes
from fsamc.pseudo.foreground import ImageArray, Images, Mask
from fsamc.pseudo.masks import draw_mask
from fsamc.seeds import numpy_generator


class MaskSource(Protocol):
    """The foreground of a good image by its index, bool [S, S]: an array [G, S, S] or `Foregrounds`."""

    def __getitem__(self, index: int, /) -> Mask: ...


@dataclass(frozen=True)
class PseudoDefect:
    """One good image with a texture in it, and how it came about."""

    image: ImageArray  # [S, S, 3]
    label: int  # index of the pseudo-class
    source: int  # index of the good image
    mask: Mask  # [S, S], where the texture is
    beta: float  # share of the good image kept there


def blend(image: ImageArray, texture: ImageArray, mask: Mask, beta: float) -> ImageArray:
    """Return `(1 - beta) texture + beta image` inside `mask`, rounded; outside it the image itself (paper 3.5).

    `image` and `texture` are uint8 [S, S, 3], `mask` is bool [S, S], `beta` is between 0 and 1.
    """
    inside = (1.0 - beta) * texture[mask].astype(np.float32) + beta * image[mask].astype(np.float32)
    result = image.copy()
    result[mask] = np.rint(inside).astype(np.uint8)
    return result


def defects(
    sources: Images,
    foregrounds: MaskSource,
    textures: Mapping[str, Images],
    config: Pseudo,
    *,
    purpose: str,
) -> Iterator[PseudoDefect]:
    """Yield `config.per_class` pseudo-defects of each pseudo-class, one at a time, class after class.

    Image i of a class depends on `purpose`, the class's name and i: the same whatever other classes there are and
    however many images are asked for.

    Args:
        sources: a category's good images, uint8 [S, S, 3] each.
        foregrounds: where the object is in each of them, bool [S, S].
        textures: per texture class its images, uint8 [S, S, 3]; the first `config.textures_per_class` are used.
        config: how defects are drawn.
        purpose: what the random numbers are for.

    Raises:
        BadInput: no mask of the area asked for can be drawn.
    """
    for label, drawn in enumerate(pseudo_classes(textures, config)):
        for number in range(config.per_class):
            rng = numpy_generator(purpose, drawn.name, number)
            source = int(rng.integers(len(sources)))
            texture = textures[drawn.texture][int(rng.integers(config.textures_per_class))]
            beta = float(rng.uniform(*config.beta))
            mask = draw_mask(foregrounds[source], rng, config, corners=drawn.sides)
            yield PseudoDefect(blend(sources[source], texture, mask, beta), label, source, mask, beta)
