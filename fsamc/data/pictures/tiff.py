"""TIFF files to pixel values, by their tags: bits, sample format, photometric interpretation, planes, palette."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

import numpy as np
from PIL import Image
from tifffile import PHOTOMETRIC, SAMPLEFORMAT, TiffFile, TiffPage

from fsamc.data.pictures.pixels import Pixels, Unsupported, upright

_JPEG = 7
_LOSSY = (6, _JPEG, 34892, 33003, 33004, 33005, 34712, 50001)  # compressions: of JPEG, JPEG 2000 and WebP
_COLOURS = {
    PHOTOMETRIC.MINISWHITE: 1,
    PHOTOMETRIC.MINISBLACK: 1,
    PHOTOMETRIC.RGB: 3,
    PHOTOMETRIC.PALETTE: 1,
    PHOTOMETRIC.SEPARATED: 4,
    PHOTOMETRIC.YCBCR: 3,
}
_MOST_PAGES = 1000
_ORIENTATION, _LARGEST_VALUE, _ASSOCIATED_ALPHA = 274, 281, 1

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says is raised as well, or harmless


def tiff_size(content: bytes) -> tuple[int, int]:
    """Height and width, upright, in pixels. Raises Unsupported for several pages, or whatever tifffile raises."""
    with _page(content) as page:
        size = page.imagelength, page.imagewidth
        return size[::-1] if _tag(page, _ORIENTATION, 1) in (5, 6, 7, 8) else size


def read_tiff(content: bytes) -> Pixels | None:
    """Decode the one picture of a TIFF; None for YCbCr, whose subsampling and reference levels libtiff knows.

    Thumbnails and transparency masks, which say that they are, are no pages. Alpha is dropped, and taken out of colours
    that are multiplied by it. Raises Unsupported, or whatever tifffile raises for a damaged file.
    """
    with _page(content) as page:
        _check_kind(page)
        if page.photometric == PHOTOMETRIC.YCBCR and page.compression != _JPEG:
            return None
        values = page.asarray(maxworkers=1)
        values = values[..., None] if page.axes == "YX" else np.moveaxis(values, page.axes.index("S"), 2)
        values = values.astype(np.uint8) if values.dtype == bool else values
        values, bits = _meaning(page, values)
        values = upright(values, _tag(page, _ORIENTATION, 1))
        return Pixels(values[:, :, 0] if values.shape[2] == 1 else values, bits, page.compression in _LOSSY)


@contextmanager
def _page(content: bytes) -> Iterator[TiffPage]:
    with TiffFile(io.BytesIO(content)) as file:
        listed = (page for page in islice(file.pages, _MOST_PAGES) if isinstance(page, TiffPage))
        pages = [page for page in listed if not (page.is_reduced or page.is_mask)]
        if len(pages) != 1:
            raise Unsupported(f"holds {len(pages) or 'no'} pages, expected one; save the one that is meant by itself")
        # Two programs write one page's tags for many, and tell of the others in the description.
        if (file.is_imagej or file.is_shaped) and file.series[0].size > pages[0].size:
            raise Unsupported("holds a stack of pictures, expected one; save the one that is meant by itself")
        yield pages[0]


def _tag(page: TiffPage, code: int, default: int) -> int:
    tag = page.tags.get(code)
    value = default if tag is None else tag.value
    return int(max(value) if isinstance(value, tuple) else value)


def _check_kind(page: TiffPage) -> None:
    if page.sampleformat not in (SAMPLEFORMAT.UINT, SAMPLEFORMAT.VOID):
        kind = "floating-point" if page.sampleformat == SAMPLEFORMAT.IEEEFP else "signed or complex"
        raise Unsupported(f"is a TIFF of {kind} values; save it with unsigned integers of 8 or 16 bits")
    if not isinstance(page.bitspersample, int) or page.bitspersample > 32:
        raise Unsupported(f"is a TIFF of {page.bitspersample} bits; save it with 8 or 16 bits a value")
    photometric = page.photometric
    colours = _COLOURS.get(photometric) if isinstance(photometric, PHOTOMETRIC) else None
    if colours is None:
        name = getattr(photometric, "name", photometric)
        raise Unsupported(f"is a TIFF of the photometric interpretation {name}; save it as grey or RGB")
    if page.axes not in ("YX", "YXS", "SYX") or not colours <= page.samplesperpixel <= colours + 1:
        raise Unsupported(
            f"is a TIFF of {page.samplesperpixel} channels ({page.axes}) for a picture of {colours}; "
            "save it as grey or RGB"
        )


def _meaning(page: TiffPage, values: np.ndarray) -> tuple[np.ndarray, int]:
    """Raw values [H, W, S] as grey [H, W, 1] or colour [H, W, 3] in which 0 is black, and their bits."""
    bits = page.bitspersample
    assert isinstance(bits, int)
    colours = _COLOURS[PHOTOMETRIC(page.photometric)]
    if page.extrasamples[:1] == (_ASSOCIATED_ALPHA,) and values.shape[2] > colours:
        values = _without_alpha(values, 2**bits - 1)
    values = values[..., :colours]
    if page.photometric == PHOTOMETRIC.PALETTE:
        return _looked_up(page, values[..., 0])
    if page.photometric == PHOTOMETRIC.SEPARATED:
        inks = np.ascontiguousarray(Pixels(values, bits).eight_bits())
        return np.array(Image.fromarray(inks, "CMYK").convert("RGB")), 8
    largest = _tag(page, _LARGEST_VALUE, 2**bits - 1)
    if bits > 8 and 255 < largest < 2**bits - 1 and (largest + 1).bit_count() == 1 and values.max() <= largest:
        bits = largest.bit_length()  # a camera's 12 bits in 16
    return (2**bits - 1 - values if page.photometric == PHOTOMETRIC.MINISWHITE else values), bits


def _looked_up(page: TiffPage, indices: np.ndarray) -> tuple[np.ndarray, int]:
    """Colours of a palette, whose map has 16 bits, or 8 where a program has misread the standard."""
    if page.colormap is None:
        raise Unsupported("is a TIFF with a palette that is missing; save it as grey or RGB")
    return page.colormap.T[indices], 16 if page.colormap.max() > 255 else 8


def _without_alpha(values: np.ndarray, full: int) -> np.ndarray:
    """Undo the multiplication by alpha, the last sample, as far as it can be undone."""
    alpha = values[..., -1:].astype(np.uint64)
    plain = np.minimum(values.astype(np.uint64) * full // np.maximum(alpha, 1), full)
    return np.where(alpha > 0, plain, values).astype(values.dtype)
