"""Pictures: decoded, resized, cropped and normalised here and nowhere else."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fsamc.config.features import Features
from fsamc.errors import BadInput

if TYPE_CHECKING:
    import torch

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"})

# What ImageNet weights were trained with: red, green, blue, for values in [0, 1].
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF")
_one_at_a_time = threading.Lock()


def read_image(path: Path) -> np.ndarray:
    """Read a picture as uint8 [H, W, 3] RGB, upright by its EXIF orientation.

    Grey, palette and 1-bit pictures become three equal or looked-up channels. Of 16-bit values the high byte is
    kept: the full range 0-65535 becomes 0-255. Alpha is dropped, as the paper's program does: what lies under it is
    what the camera saw, and compositing would invent an edge.

    Raises BadInput for what is not a picture, is truncated, has no pixels, or holds floating-point values.
    """
    image = _decode(path)
    if image.mode.startswith("I"):
        return np.stack([_high_byte(np.asarray(image), path)] * 3, axis=2)
    # Through RGBA: a palette with transparency cannot go straight to RGB without a warning.
    return np.array((image.convert("RGBA") if image.mode == "P" else image).convert("RGB"))


def read_mask(path: Path) -> np.ndarray:
    """Read a mask as bool [H, W]: true above half of its largest value.

    So 0/1, 0/255 and 16-bit masks mean the same, and JPEG noise or a resized mask's soft edge stays out. Raises
    BadInput as `read_image` does.
    """
    image = _decode(path)
    grey = image.mode.startswith("I") or image.mode in ("1", "L")
    values = np.asarray(image if grey else image.convert("RGBA").convert("RGB"))
    values = values if values.ndim == 2 else values.max(axis=2)
    return values > values.max() / 2


def image_size(path: Path) -> tuple[int, int]:
    """Height and width, upright, in pixels, from the file's header alone. Raises BadInput if there is none."""
    with _as_bad_input(path), _quietly(), Image.open(path, formats=_FORMATS) as image:
        # Pillow turns a TIFF's size itself, and would decode a PNG without EXIF in search of one.
        orientation = image.getexif().get(0x0112, 1) if "exif" in image.info else 1
        return (image.width, image.height) if orientation >= 5 else (image.height, image.width)


def to_square(image: np.ndarray, features: Features) -> np.ndarray:
    """Resize an image uint8 [H, W, 3] as the network sees it: uint8 [S, S, 3] with S = `features.size`.

    `squash` resizes straight to the square; `crop` brings the short side to `features.resize` and cuts out the centre
    (paper 3.2); `letterbox` brings the long side to S and repeats the border pixels, since a black frame would be an
    edge that no product has. Resizing is antialiased bilinear, the same as torchvision's on Pillow images.
    """
    size = features.size
    if features.fit == "squash":
        return _resize(image, size, size)
    if features.fit == "crop":
        height, width, top, left = _crop_window(image, features)
        return _resize(image, height, width)[top : top + size, left : left + size]
    return _letterbox(image, size)


def kept_share(mask: np.ndarray, features: Features) -> float:
    """Share in [0, 1] of a mask's pixels (bool [H, W]) that the network sees; 1 for an empty mask.

    Only `crop` loses any. A pixel is seen if its centre lies in the crop.
    """
    if features.fit != "crop" or not mask.any():
        return 1.0
    height, width, top, left = _crop_window(mask, features)
    rows = _inside(mask.shape[0], height, top, features.size)
    columns = _inside(mask.shape[1], width, left, features.size)
    return float(mask[np.ix_(rows, columns)].sum() / mask.sum())


def to_tensor(squares: np.ndarray) -> torch.Tensor:
    """Square images uint8 [B, S, S, 3] as float32 [B, 3, S, S], normalised by ImageNet's mean and deviation."""
    import torch  # here, because reading a folder must not load it

    scaled = torch.tensor(squares).permute(0, 3, 1, 2).float().div(255)
    mean, std = (torch.tensor(numbers).view(1, 3, 1, 1) for numbers in (_MEAN, _STD))
    return scaled.sub(mean).div(std).contiguous()


@contextmanager
def _quietly() -> Iterator[None]:
    """No warnings, e.g. of corrupt EXIF data. Python's filters are shared by all threads, hence the lock."""
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _as_bad_input(path: Path) -> Iterator[None]:
    try:
        yield
    except (BadInput, MemoryError):
        raise
    # Pillow's decoders meet broken files with nearly every exception there is, SyntaxError included.
    except Exception as error:
        raise BadInput(
            f"{path}: cannot be read as a png, jpg, bmp or tif image ({_reason(error)}); replace or remove the file"
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "damaged, or something else"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _decode(path: Path) -> Image.Image:
    with _as_bad_input(path):
        with _quietly():
            image: Image.Image = Image.open(path, formats=_FORMATS)
        with image:
            image.load()
            with _quietly():
                upright = ImageOps.exif_transpose(image)
        if 0 in upright.size:
            raise BadInput(f"{path}: has no pixels; replace or remove the file")
        if upright.mode == "F":
            raise BadInput(f"{path}: holds floating-point values, expected 8 or 16 bits; convert it")
        return upright


def _high_byte(values: np.ndarray, path: Path) -> np.ndarray:
    """16-bit values [H, W] as uint8: the byte that Pillow keeps of 16-bit RGB, so that both agree."""
    if values.min() < 0 or values.max() > 65535:
        raise BadInput(f"{path}: holds values from {values.min()} to {values.max()}, expected 8 or 16 bits; convert it")
    return (values >> 8).astype(np.uint8)


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))


def _crop_window(pixels: np.ndarray, features: Features) -> tuple[int, int, int, int]:
    """Height and width after resizing, and the crop's top and left in it, rounded as torchvision does."""
    height, width = pixels.shape[:2]
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


def _letterbox(image: np.ndarray, size: int) -> np.ndarray:
    height, width = (max(1, round(side * size / max(image.shape[:2]))) for side in image.shape[:2])
    top, left = (size - height) // 2, (size - width) // 2
    around = ((top, size - height - top), (left, size - width - left), (0, 0))
    return np.pad(_resize(image, height, width), around, mode="edge")
