"""Figures inside the page: small enough that any number of them fits."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from fsamc.data.pictures.encoding import inlined

WIDTHS = (1800, 1300, 900, 600, 400)  # pixels: the widest at which all figures fit is taken
BUDGET = 2_500_000  # bytes, for all figures together
QUALITY = 85


def embedded(files: Sequence[Path]) -> list[str]:
    """Return each picture as a `data:` address, none wider than it was; a file that is gone has none ("")."""
    for width in WIDTHS:
        packed = [_packed(file, width) for file in files]
        if sum(map(len, packed)) <= BUDGET:
            break
    return [inlined(picture, "webp") if picture else "" for picture in packed]


def _packed(file: Path, width: int) -> bytes:
    """WebP: of drawings and photographs alike a fraction of their PNG. Nothing where there is no picture."""
    try:
        picture = Image.open(file).convert("RGB")
    except OSError:
        return b""
    picture.thumbnail((width, 16_000))  # the format ends at 16,383 pixels
    packed = io.BytesIO()
    picture.save(packed, "webp", quality=QUALITY)
    return packed.getvalue()
