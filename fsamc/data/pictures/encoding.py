"""Encoding of pictures for people: as JPEG, and as an address that holds the picture."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image


def jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """Return a picture uint8 [H, W, 3] as a JPEG of this quality, 1 to 95."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def inlined(content: bytes, kind: str) -> str:
    """Return a `data:` address that holds a picture's file, of the kind `jpeg`, `png` or `webp`."""
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()
