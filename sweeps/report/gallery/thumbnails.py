"""Thumbnails of a gallery: JPEGs that stay within what they may take together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from fsamc.data.pictures.encoding import jpeg
from fsamc.overlays.heat_map import HeatScale, overlay
from sweeps.report.document.report_blocks import Strip, Thumbnail
from sweeps.report.gallery.gallery_settings import GallerySettings

_SMALLER = (1.0, 0.75, 0.5)  # the first at which all fit is taken


@dataclass(frozen=True)
class PixelStrip:
    """A strip before it is packed: what each picture shows, and its pixels uint8 [h, w, 3]."""

    caption: str
    pixels: Sequence[tuple[str, np.ndarray]]


def fitting_strips(rows: Sequence[Sequence[PixelStrip]], settings: GallerySettings) -> list[list[Strip]]:
    """Pack the strips of each answer, in the order in which they matter.

    All are made smaller until they fit into `settings.megabytes`; where the smallest do not, later answers have none.
    """
    budget = int(settings.megabytes * 1e6)
    for factor in _SMALLER:
        packs = [[_strip(one, factor, settings.quality) for one in row] for row in rows]
        sizes = [sum(len(picture.jpeg) for strip in row for picture in strip.pictures) for row in packs]
        if sum(sizes) <= budget:
            break
    return [row if fits else [] for row, fits in zip(packs, np.cumsum(sizes) <= budget, strict=True)]


def scale_bar(scale: HeatScale) -> Thumbnail:
    """Draw the colours from one end of a scale to the other, over grey."""
    heat = np.linspace(scale.low, scale.high, 240, dtype=np.float32)[None].repeat(14, axis=0)
    grey = np.full((*heat.shape, 3), 128, np.uint8)
    return Thumbnail("Colours of the heat maps", jpeg(overlay(grey, heat, scale), 95))


def _strip(pictures: PixelStrip, factor: float, quality: int) -> Strip:
    small = [(shows, _shrunk(pixels, factor)) for shows, pixels in pictures.pixels]
    return Strip(pictures.caption, [Thumbnail(shows, jpeg(pixels, quality)) for shows, pixels in small])


def _shrunk(pixels: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(1, round(factor * side)) for side in pixels.shape[:2])
    return np.asarray(Image.fromarray(pixels).resize((width, height), Image.Resampling.LANCZOS))
