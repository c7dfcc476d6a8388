"""Pictures as the network sees them: read, resized, cropped and normalised here and nowhere else."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fsamc.config.features import Features
from fsamc.data.pictures.decoding import MOST_PIXELS, decode, header_size, picture_digest
from fsamc.data.pictures.pixels import Pixels
from fsamc.data.preprocessing import IMAGENET, Interpolation, Preprocessing
from fsamc.errors import BadInput

if TYPE_CHECKING:
    import torch

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".jfif", ".webp", ".jp2", ".j2k"})


def read_pixels(path: Path, digest: str | None = None) -> Pixels:
    """Read a picture as its file has it: upright, without alpha, in its own number of bits.

    Args:
        path: the file.
        digest: its `picture_digest` when it was listed; None: whatever it holds now.

    Raises BadInput for what cannot be opened, is refused by `fsamc.data.pictures.decoding.decode`, or has changed.
    """
    content = _content(path)
    if digest is not None and picture_digest(content) != digest:
        raise BadInput(f"{path}: has changed since it was read first; start again, and leave the images as they are")
    return decode(path, content)


def read_image(path: Path, digest: str | None = None) -> np.ndarray:
    """Read a picture as uint8 [H, W, 3] RGB, upright by its EXIF orientation.

    Grey, palette and 1-bit pictures become three equal or looked-up channels. Of deep values the high byte is kept:
    the full range 0-65535 becomes 0-255. Alpha is dropped, as the paper's program does: what lies under it is what the
    camera saw, and compositing would invent an edge.

    Raises BadInput as `read_pixels` does.
    """
    return read_pixels(path, digest).rgb()


def read_mask(path: Path) -> np.ndarray:
    """Read a mask as bool [H, W]: what is not 0, or where its edges are soft above half of its largest value.

    So 0/1, 0/255 and 16-bit masks mean the same, every label counts, and JPEG noise or a resized mask's soft edge stays
    out. Raises BadInput as `read_pixels` does.
    """
    return read_pixels(path).mask()


def image_size(path: Path) -> tuple[int, int]:
    """Return height and width, upright, in pixels, from the file's header alone. Raises BadInput if there is none."""
    return header_size(path, _content(path))


def shrink_image(path: Path) -> bool:
    """Bring a picture that is too large to be read below the limit, in place, with 8 bits a value.

    Return whether it was too large. Raises BadInput as `read_pixels` does; OSError if it cannot be written.
    """
    eight = decode(path, _content(path), most_pixels=sys.maxsize).eight_bits()
    factor = math.ceil(math.sqrt(eight.shape[0] * eight.shape[1] / MOST_PIXELS))
    if factor == 1:
        return False
    unfinished = path.with_name(f".{path.name}{path.suffix}")
    Image.fromarray(eight).reduce(factor).save(unfinished)
    unfinished.replace(path)
    return True


def to_square(image: np.ndarray, features: Features, interpolation: Interpolation = "bilinear") -> np.ndarray:
    """Resize an image uint8 [H, W, 3] as the network sees it: uint8 [S, S, 3] with S = `features.size`.

    `squash` resizes straight to the square; `crop` brings the short side to `features.resize` and cuts out the centre
    (paper 3.2); `letterbox` brings the long side to S and repeats the border pixels, since a black frame would be an
    edge that no product has. Resizing is antialiased, the same as torchvision's on Pillow images.
    """
    size = features.size
    if features.fit == "squash":
        return _resize(image, size, size, interpolation)
    if features.fit == "crop":
        height, width, top, left = _crop_window(image.shape, features)
        return _resize(image, height, width, interpolation)[top : top + size, left : left + size]
    return _letterbox(image, size, interpolation)


def square_window(shape: tuple[int, int], features: Features) -> tuple[float, float, float, float]:
    """Say where in a picture of `shape` (H, W) the network's square lies: top, left, height and width, in its pixels.

    All of the picture with `squash`, a part of it with `crop`; with `letterbox` the square reaches beyond its edges.
    """
    full_height, full_width = shape
    if features.fit == "squash":
        return 0.0, 0.0, float(full_height), float(full_width)
    if features.fit == "crop":
        height, width, top, left = _crop_window(shape, features)
    else:
        height, width, above, before = _letterbox_window(shape, features.size)
        top, left = -above, -before
    down, across = full_height / height, full_width / width
    return top * down, left * across, features.size * down, features.size * across


def kept_share(mask: np.ndarray, features: Features) -> float:
    """Share in [0, 1] of a mask's pixels (bool [H, W]) that the network sees; 1 for an empty mask.

    Only `crop` loses any. A pixel is seen if its centre lies in the crop.
    """
    if features.fit != "crop" or not mask.any():
        return 1.0
    height, width, top, left = _crop_window(mask.shape, features)
    rows = _inside(mask.shape[0], height, top, features.size)
    columns = _inside(mask.shape[1], width, left, features.size)
    return float(mask[np.ix_(rows, columns)].sum() / mask.sum())


def to_tensor(squares: np.ndarray, preprocessing: Preprocessing = IMAGENET) -> torch.Tensor:
    """Turn square images uint8 [B, S, S, 3] into float32 [B, 3, S, S], normalised as a network's weights want it."""
    import torch  # here, because reading a folder must not load it

    scaled = torch.tensor(squares).permute(0, 3, 1, 2).float().div(255)
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (preprocessing.mean, preprocessing.std))
    return scaled.sub(mean).div(std).contiguous()


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); replace or remove the file") from error


def _resize(image: np.ndarray, height: int, width: int, interpolation: Interpolation) -> np.ndarray:
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling[interpolation.upper()]))


def _crop_window(shape: tuple[int, ...], features: Features) -> tuple[int, int, int, int]:
    """Height and width after resizing, and the crop's top and left in it, rounded as torchvision does."""
    height, width = shape[:2]
    short = features.resize or features.size
    if height <= width:
        height, width = short, int(short * width / height)
    else:
        height, width = int(short * height / width), short
    return height, width, round((height - features.size) / 2), round((width - features.size) / 2)


def _inside(length: int, resized: int, start: int, size: int) -> np.ndarray:
    """Which of a side's pixels have their centre in the crop [start, start + size) once resized: bool [length]."""
    centres = (np.arange(length) + 0.5) * resized / length
    return (centres >= start) & (centres < start + size)


def _letterbox(image: np.ndarray, size: int, interpolation: Interpolation) -> np.ndarray:
    height, width, top, left = _letterbox_window(image.shape, size)
    around = ((top, size - height - top), (left, size - width - left), (0, 0))
    return np.pad(_resize(image, height, width, interpolation), around, mode="edge")


def _letterbox_window(shape: tuple[int, ...], size: int) -> tuple[int, int, int, int]:
    """Height and width after resizing, and its top and left in the square."""
    height, width = (max(1, round(side * size / max(shape[:2]))) for side in shape[:2])
    return height, width, (size - height) // 2, (size - width) // 2
