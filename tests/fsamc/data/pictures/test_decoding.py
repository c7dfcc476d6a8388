"""Every kind of picture file gives the values that were written, or is refused by name. Written by other libraries."""

from __future__ import annotations

import io
import shlex
import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, PngImagePlugin

from fsamc.data.images import image_size, read_image, read_mask, read_pixels
from fsamc.data.pictures.decoding import decode
from fsamc.errors import BadInput
from tests.sweeps.small import fsamc

RANDOM = np.random.default_rng(0)
DEEP = RANDOM.integers(0, 65536, (12, 17), dtype=np.uint16)
DEEP_COLOUR = RANDOM.integers(0, 65536, (12, 17, 3), dtype=np.uint16)
ALPHA = RANDOM.integers(0, 65536, (12, 17, 1), dtype=np.uint16)
GREY = (DEEP >> 8).astype(np.uint8)
COLOUR = (DEEP_COLOUR >> 8).astype(np.uint8)
WIDE = RANDOM.integers(0, 2**32, (12, 17), dtype=np.uint32)
PALETTE = RANDOM.integers(0, 65536, (3, 256), dtype=np.uint16)


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def tiff(values: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, values, **({"photometric": "minisblack"} | options))
    return file.getvalue()


def pillow(kind: str, *values: np.ndarray, mode: str | None = None, **options: Any) -> bytes:
    """A file of one or more pictures."""
    first, *more = (Image.fromarray(one, mode) for one in values)
    file = io.BytesIO()
    several = {"save_all": True, "append_images": more} if more else {}
    first.save(file, kind, **several, **options)
    return file.getvalue()


def png(values: np.ndarray, **chunks: bytes) -> bytes:
    """A PNG of 16-bit values [H, W, 1 to 4], made by hand, since Pillow keeps 8 bits of colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, samples = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[samples], 0, 0, 0)
    parts = [chunk(b"IHDR", header), *(chunk(kind.encode(), data) for kind, data in chunks.items())]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return b"\x89PNG\r\n\x1a\n" + b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")])


LOOKED_UP = np.uint8([[[200, 100, 50], [10, 20, 30]]])


def palette(**options: Any) -> bytes:
    """A PNG of LOOKED_UP by a palette."""
    picture = Image.fromarray(np.uint8([[1, 0]]), "P")
    picture.putpalette([10, 20, 30, 200, 100, 50])
    file = io.BytesIO()
    picture.save(file, "PNG", **options)
    return file.getvalue()


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)


def turned(orientation: int) -> np.ndarray:
    """COLOUR as a viewer shows it that heeds the tag: Exif 2.3, by where row 0 and column 0 of the file are."""
    shown = {1: COLOUR, 2: np.fliplr(COLOUR), 3: np.rot90(COLOUR, 2), 4: np.flipud(COLOUR)}
    shown |= {5: np.transpose(COLOUR, (1, 0, 2)), 6: np.rot90(COLOUR, -1)}
    shown |= {7: np.rot90(shown[5], 2), 8: np.rot90(COLOUR)}
    return shown[orientation]


def oriented(orientation: int, **options: Any) -> bytes:
    return tiff(COLOUR, photometric="rgb", extratags=[(274, 3, 1, orientation, True)], **options)


def largest(values: np.ndarray, value: int) -> bytes:
    return tiff(values, extratags=[(281, 3, 1, value, True)])


def scaled(twelve: np.ndarray) -> np.ndarray:
    """12 bits in the upper ones of 16, replicated below as the standard of PNG says."""
    return (twelve << 4) | (twelve >> 8)


TWELVE, TEN = DEEP >> 4, DEEP >> 6

READ: dict[str, tuple[bytes, np.ndarray]] = {
    "tif of 8 bits": (tiff(GREY), three(GREY)),
    "tif of 16 bits": (tiff(DEEP), three(DEEP >> 8)),
    "tif of 16 bits, big-endian": (tiff(DEEP, byteorder=">"), three(DEEP >> 8)),
    "BigTIFF": (tiff(DEEP, bigtiff=True), three(DEEP >> 8)),
    "tif of 32 bits": (tiff(WIDE), three(WIDE >> 24)),
    "tif of 12 bits, packed": (tiff(TWELVE, bitspersample=12), three(TWELVE >> 4)),
    "tif of 10 bits, packed": (tiff(TEN, bitspersample=10), three(TEN >> 2)),
    "tif of 4 bits": (tiff(GREY >> 4, bitspersample=4), three((GREY >> 4) * 17)),
    "tif of 2 bits": (tiff(GREY >> 6, bitspersample=2), three((GREY >> 6) * 85)),
    "tif of 1 bit": (tiff(GREY > 99), three((GREY > 99) * 255)),
    "tif of 12 bits in 16, by its largest value": (largest(TWELVE, 4095), three(TWELVE >> 4)),
    "tif of 10 bits in 16, by its largest value": (largest(TEN, 1023), three(TEN >> 2)),
    "tif whose largest value says nothing": (largest(DEEP, 60000), three(DEEP >> 8)),
    "tif with a largest value that is too low": (largest(DEEP, 4095), three(DEEP >> 8)),
    "tif, white is zero, 1 bit": (tiff(GREY > 99, photometric="miniswhite"), three((GREY <= 99) * 255)),
    "tif, white is zero, 4 bits": (
        tiff(GREY >> 4, photometric="miniswhite", bitspersample=4),
        three((15 - (GREY >> 4)) * 17),
    ),
    "tif, white is zero, 8 bits": (tiff(GREY, photometric="miniswhite"), three(255 - GREY)),
    "tif, white is zero, 12 bits": (
        tiff(TWELVE, photometric="miniswhite", bitspersample=12),
        three((4095 - TWELVE) >> 4),
    ),
    "tif, white is zero, 16 bits": (tiff(DEEP, photometric="miniswhite"), three((65535 - DEEP) >> 8)),
    "tif, white is zero, 32 bits": (tiff(WIDE, photometric="miniswhite"), three((2**32 - 1 - WIDE) >> 24)),
    "tif of colour": (tiff(COLOUR, photometric="rgb"), COLOUR),
    "tif of colour in planes": (
        tiff(COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        COLOUR,
    ),
    "tif of 16-bit colour": (tiff(DEEP_COLOUR, photometric="rgb"), COLOUR),
    "tif of 16-bit colour in planes": (
        tiff(DEEP_COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate"),
        COLOUR,
    ),
    "tif of 12-bit colour, packed": (tiff(DEEP_COLOUR >> 4, photometric="rgb", bitspersample=12), COLOUR),
    "tif in tiles": (
        tiff(np.tile(DEEP_COLOUR, (3, 2, 1)), photometric="rgb", tile=(16, 16)),
        np.tile(COLOUR, (3, 2, 1)),
    ),
    "tif in strips": (tiff(DEEP, rowsperstrip=5), three(DEEP >> 8)),
    "tif by LZW with a predictor": (tiff(DEEP_COLOUR, photometric="rgb", compression="lzw", predictor=True), COLOUR),
    "tif by deflate": (tiff(DEEP, compression="zlib", predictor=True), three(DEEP >> 8)),
    "tif by PackBits": (tiff(GREY, compression="packbits"), three(GREY)),
    "tif by zstd": (tiff(DEEP, compression="zstd"), three(DEEP >> 8)),
    "tif with alpha": (
        tiff(np.dstack([DEEP_COLOUR, ALPHA]), photometric="rgb", extrasamples=["unassalpha"]),
        COLOUR,
    ),
    "tif of grey with alpha": (
        tiff(np.dstack([DEEP, ALPHA]), planarconfig="contig", extrasamples=["unassalpha"]),
        three(DEEP >> 8),
    ),
    "tif multiplied by alpha": (
        tiff(np.uint8([[[50, 25, 0, 64], [9, 8, 7, 0]]]), photometric="rgb", extrasamples=["assocalpha"]),
        np.uint8([[[199, 99, 0], [9, 8, 7]]]),
    ),
    "tif with a palette": (tiff(GREY, photometric="palette", colormap=PALETTE), (PALETTE >> 8).T[GREY]),
    "tif with a palette of 8 bits": (tiff(GREY, photometric="palette", colormap=PALETTE >> 8), (PALETTE >> 8).T[GREY]),
    "tif of CMYK": (
        tiff(np.uint8([[[255, 0, 0, 0], [0, 0, 0, 255], [0, 0, 255, 0]]]), photometric="separated"),
        np.uint8([[[0, 255, 255], [0, 0, 0], [255, 255, 0]]]),
    ),
    "tif of 16-bit CMYK": (
        tiff(np.uint16([[[65535, 0, 0, 0], [0, 0, 0, 65535], [0, 0, 65535, 0]]]), photometric="separated"),
        np.uint8([[[0, 255, 255], [0, 0, 0], [255, 255, 0]]]),
    ),
    **{f"tif, orientation {one}": (oriented(one), turned(one)) for one in range(1, 9)},
    "png": (pillow("PNG", COLOUR), COLOUR),
    "png of grey": (pillow("PNG", GREY), three(GREY)),
    "png of 1 bit": (pillow("PNG", GREY > 99), three((GREY > 99) * 255)),
    "png with alpha": (pillow("PNG", np.dstack([COLOUR, ALPHA >> 8]).astype(np.uint8)), COLOUR),
    "png of grey with alpha": (pillow("PNG", np.dstack([GREY, ALPHA >> 8]).astype(np.uint8), mode="LA"), three(GREY)),
    "png with a palette": (palette(), LOOKED_UP),
    "png with a palette and transparency": (palette(transparency=bytes([0, 128])), LOOKED_UP),
    "bmp": (pillow("BMP", COLOUR), COLOUR),
    "png of 16 bits": (png(DEEP[..., None]), three(DEEP >> 8)),
    "png of 16 bits with alpha": (png(np.dstack([DEEP, ALPHA])), three(DEEP >> 8)),
    "png of 16-bit colour": (png(DEEP_COLOUR), COLOUR),
    "png of 16-bit colour with alpha": (png(np.dstack([DEEP_COLOUR, ALPHA])), COLOUR),
    "png of 16 bits, one of them transparent": (png(DEEP[..., None], tRNS=b"\0\1"), three(DEEP >> 8)),
    "png, 12 bits scaled to 16": (png(scaled(TWELVE)[..., None], sBIT=b"\x0c"), three(TWELVE >> 4)),
    "png, 12 bits in the upper ones": (png((TWELVE << 4)[..., None], sBIT=b"\x0c"), three(TWELVE >> 4)),
    "png, 12 bits in the lower ones": (png(TWELVE[..., None], sBIT=b"\x0c"), three(TWELVE >> 4)),
    "png, 10 bits in the lower ones": (png(TEN[..., None], sBIT=b"\x0a"), three(TEN >> 2)),
    "png, 12 bits of colour in the lower ones": (png(DEEP_COLOUR >> 4, sBIT=b"\x0c\x0c\x0c"), COLOUR),
    "png, a dark picture of 12 bits in the upper ones": (
        png((TWELVE[..., None] >> 5) << 4, sBIT=b"\x0c"),
        three((TWELVE >> 5 << 4) >> 8),
    ),
    "png, 12 bits in 16 that nobody tells": (png(TWELVE[..., None]), three(TWELVE >> 8)),
    "jp2": (pillow("JPEG2000", COLOUR), COLOUR),
    "jp2 of grey": (pillow("JPEG2000", GREY), three(GREY)),
    "jp2 of 16 bits": (imagecodecs.jpeg2k_encode(DEEP, level=0, reversible=True), three(DEEP >> 8)),
    "jp2 of 12 bits": (
        imagecodecs.jpeg2k_encode(TWELVE, level=0, bitspersample=12, reversible=True),
        three(TWELVE >> 4),
    ),
    "jp2 of 12-bit colour": (
        imagecodecs.jpeg2k_encode(DEEP_COLOUR >> 4, level=0, bitspersample=12, reversible=True),
        COLOUR,
    ),
    "webp": (pillow("WEBP", COLOUR, lossless=True), COLOUR),
}


@pytest.mark.parametrize("kind", READ)
def test_the_values_that_were_written_are_read(tmp_path, kind):
    content, expected = READ[kind]
    path = tmp_path / "image"
    path.write_bytes(content)
    image = read_image(path)
    assert image.dtype == np.uint8
    assert np.array_equal(image, expected)
    assert image_size(path) == expected.shape[:2]
    image += 1  # may be written to


@pytest.mark.parametrize(
    "content",
    [
        tiff(COLOUR, photometric="rgb", compression="jpeg"),
        pillow("TIFF", COLOUR, compression="jpeg"),
        pillow("TIFF", COLOUR, mode="YCbCr"),
    ],
    ids=["jpeg", "jpeg of libtiff", "YCbCr"],
)
def test_tifs_that_hold_luminance_and_chroma_are_read_as_pillow_reads_them(content):
    with Image.open(io.BytesIO(content)) as reference:
        expected = np.asarray(reference.convert("RGB")).astype(int)
    assert np.abs(decode(Path("x"), content).rgb() - expected).max() <= 2


@pytest.mark.parametrize("values", [GREY, COLOUR], ids=["grey", "colour"])
def test_a_jpg_is_read_as_pillow_reads_it(values):
    content = pillow("JPEG", values)
    with Image.open(io.BytesIO(content)) as reference:
        assert np.array_equal(decode(Path("x"), content).rgb(), reference.convert("RGB"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_the_orientation_of_exif_is_applied(tmp_path, kind):
    exif, path = Image.Exif(), tmp_path / "image"
    exif[0x0112] = 6
    path.write_bytes(pillow(kind, COLOUR, exif=exif))
    expected = np.rot90(decode(Path("x"), pillow(kind, COLOUR)).rgb(), -1)
    assert np.array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2]


def dng() -> bytes:
    """A thumbnail that says so, before a picture that is no thumbnail."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(GREY[::2, ::2], photometric="minisblack", subfiletype=1)
        writer.write(DEEP, photometric="minisblack")
    return file.getvalue()


def test_a_thumbnail_that_says_so_is_no_page():
    assert np.array_equal(decode(Path("x"), dng()).rgb(), three(DEEP >> 8))


def test_smaller_pictures_in_a_jpg_are_previews():
    content = pillow("MPO", COLOUR, COLOUR[::2, ::2])
    first = Image.open(io.BytesIO(content)).convert("RGB")
    assert np.array_equal(decode(Path("x"), content).rgb(), first)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64)

REFUSED: dict[str, tuple[bytes, str]] = {
    "tif of two pages": (tiff(np.stack([DEEP, DEEP])), "holds 2 pages, expected one; save the one that is meant"),
    "tif of a stack": (tiff(np.stack([DEEP, DEEP]), imagej=True, truncate=True), "holds a stack of pictures"),
    "tif of two pages with one's tags": (tiff(np.stack([DEEP, DEEP]), truncate=True), "holds a stack of pictures"),
    "tif of a volume": (tiff(np.stack([DEEP] * 3), volumetric=True), "is a TIFF of 1 channels"),
    "tif of two pages of different sizes": (pillow("TIFF", GREY, GREY[:5]), "holds 2 pages"),
    "tif of floats": (tiff(DEEP.astype(np.float32)), "is a TIFF of floating-point values; save it with unsigned"),
    "tif of half floats": (tiff(DEEP.astype(np.float16)), "is a TIFF of floating-point values"),
    "tif of doubles": (tiff(DEEP.astype(np.float64)), "is a TIFF of floating-point values"),
    "tif of signed integers": (tiff(DEEP.astype(np.int16)), "is a TIFF of signed or complex values"),
    "tif of 32-bit signed integers": (tiff(DEEP.astype(np.int32)), "is a TIFF of signed or complex values"),
    "tif of complex numbers": (tiff(DEEP.astype(np.complex64)), "is a TIFF of signed or complex values"),
    "tif of 64 bits": (tiff(DEEP.astype(np.uint64)), "is a TIFF of 64 bits"),
    "tif of L*a*b*": (
        tiff(COLOUR, photometric="cielab"),
        "is a TIFF of the photometric interpretation CIELAB; save it as grey",
    ),
    "tif of a sensor": (tiff(DEEP, photometric="cfa"), "is a TIFF of the photometric interpretation CFA"),
    "tif of 5 channels": (
        tiff(RANDOM.integers(0, 256, (9, 9, 5), dtype=np.uint8), planarconfig="contig"),
        "is a TIFF of 5 channels",
    ),
    "animated png": (pillow("PNG", COLOUR, 255 - COLOUR), "holds 2 pictures, expected one"),
    "animated webp": (pillow("WEBP", COLOUR, 255 - COLOUR), "holds 2 pictures"),
    "jpg of a stereo pair": (pillow("MPO", COLOUR, 255 - COLOUR), "holds 2 pictures"),
    "gif": (pillow("GIF", GREY), "is a GIF picture, which is not read; save it as png or jpg"),
    "avif": (pillow("AVIF", COLOUR), "is an AVIF picture"),
    "heic": (HEIC, "is an HEIC picture, which is not read; save it as png or jpg"),
    "nothing": (b"", "cannot be read as .*; replace or remove the file"),
    "a text": (b"hello, I am no picture\n", "cannot be read as .*; replace or remove the file"),
    "a png's first bytes": (b"\x89PNG\r\n\x1a\n", "cannot be read as .*; replace or remove the file"),
    "png without pixels": (png(np.zeros((3, 0, 1))), "cannot be read as .*"),
    "jpg of 12 bits": (imagecodecs.jpeg8_encode(TWELVE, bitspersample=12), "cannot be read as .*12 bits"),
}


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("reader", [read_image, read_mask])
def test_what_is_not_read_is_refused_by_name(tmp_path, kind, reader):
    content, line = REFUSED[kind]
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"^{path}: {line}") as told:
        reader(path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("content", [b"", b"hello, I am no picture\n"])
def test_what_is_no_picture_has_no_size(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"^{path}: cannot be read as "):
        image_size(path)


WHOLE = {"jpg": pillow("JPEG", COLOUR)} | {
    kind: READ[kind][0]
    for kind in ("tif of 16-bit colour in planes", "tif by LZW with a predictor", "tif in tiles", "tif by deflate",
                 "tif with a palette", "png", "png of 16-bit colour", "png, 12 bits in the lower ones", "bmp", "webp",
                 "jp2 of 12 bits", "jp2 of 12-bit colour")
}  # fmt: skip


@pytest.mark.parametrize("share", [0.03, 0.5, 0.9])
@pytest.mark.parametrize("kind", WHOLE)
def test_what_ends_early_is_bad_input_and_no_half_picture(kind, share):
    content = WHOLE[kind]
    with pytest.raises(BadInput, match=r"^x: "):
        decode(Path("x"), content[: int(share * len(content))])


@pytest.mark.parametrize("kind", WHOLE)
def test_a_damaged_file_is_a_picture_or_bad_input_and_nothing_else(kind):
    random = np.random.default_rng(1)
    whole = np.frombuffer(WHOLE[kind], dtype=np.uint8)
    for _ in range(60):
        damaged = whole.copy()
        damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
        with suppress(BadInput):
            assert decode(Path("x"), damaged.tobytes()).rgb().dtype == np.uint8


# --- masks

LABELS = np.array([[0, 1, 2], [3, 0, 200]])


def labelled(kind: type) -> bytes:
    return tiff(LABELS.astype(kind))


def colour_map() -> bytes:
    picture = Image.fromarray(np.minimum(LABELS, 4).astype(np.uint8), "P")
    picture.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0, 64, 0, 0, 224, 224, 192])  # PASCAL VOC's, with a dark 3
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pillow("PNG", LABELS.astype(np.uint8)),
        png(LABELS[..., None]),
        png(LABELS[..., None] * 300),
        labelled(np.uint8),
        labelled(np.uint16),
        labelled(np.uint32),
        tiff(200 - LABELS.astype(np.uint8) + 55, photometric="miniswhite"),
        colour_map(),
        pillow("PNG", np.dstack([LABELS * 0, LABELS, LABELS * 0]).astype(np.uint8)),
        pillow("BMP", LABELS.astype(np.uint8)),
    ],
    ids=["png", "png of 16 bits", "png of large labels", "tif", "tif of 16 bits", "tif of 32 bits", "white is zero",
         "palette", "colour", "bmp"],
)  # fmt: skip
def test_a_mask_of_labels_marks_every_label(content):
    assert np.array_equal(decode(Path("x"), content).mask(), LABELS > 0)


def test_a_hundred_labels_are_labels():
    many = np.arange(101, dtype=np.uint16).reshape(1, 101)
    for content in (png(many[..., None]), tiff(many.astype(np.uint8))):
        assert decode(Path("x"), content).mask().sum() == 100


def test_the_soft_edges_of_a_mask_are_halved():
    hard = np.zeros((40, 40), dtype=np.uint8)
    hard[10:30, 10:30] = 255
    soft = np.array(Image.fromarray(hard).resize((320, 320), Image.Resampling.BILINEAR))
    assert decode(Path("x"), pillow("PNG", soft)).mask().sum() == pytest.approx(160**2, rel=0.01)


def test_the_noise_of_a_jpg_around_a_mask_is_no_part_of_it():
    mask = np.zeros((32, 32), dtype=bool)
    mask[11:19, 19:27] = True  # off JPEG's blocks
    for white in (90, 255):
        assert np.array_equal(decode(Path("x"), pillow("JPEG", mask.astype(np.uint8) * white)).mask(), mask)


# --- exposure


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (pillow("PNG", np.full((4, 4), 17, np.uint8)), "is constant: every value is 17"),
        (png(np.full((4, 4, 1), 700)), "is constant: every value is 700"),
        (pillow("PNG", np.uint8([[0, 31]])), "is nearly black: its values end at 31 of 255"),
        (pillow("PNG", np.uint8([[0, 32]])), None),
        (pillow("PNG", np.uint8([[200, 231]])), "is within less than an eighth of its range: 200 to 231 of 255"),
        (pillow("PNG", np.uint8([[200, 232]])), None),
        (
            png(np.array([[[3], [4000]]])),
            "is nearly black: its values end at 4000 of 65535; if these are 12 bits, multiply by 16",
        ),
        (
            png(np.array([[[3], [900]]])),
            "is nearly black: its values end at 900 of 65535; if these are 10 bits, multiply by 64",
        ),
        (png(np.array([[[0], [60]]])), "is nearly black: its values end at 60 of 65535; if these are 9 bits, mult"),
        (png(np.array([[[3], [4000]]]), sBIT=b"\x0c"), None),
        (tiff(np.uint32([[0, 4095]])), "is nearly black: .*; if these are 12 bits, multiply by 1048576"),
        (pillow("PNG", np.array([[False, True]])), None),
    ],
)
def test_exposure_by_hand(content, problem):
    text = decode(Path("x"), content).exposure_problem()
    assert (text is None) if problem is None else text.startswith(problem.partition(".*")[0])


# --- beyond the limits of Pillow


def test_texts_and_profiles_of_any_size_are_passed_over():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "x" * 3_000_000, zip=True)
    for content in (pillow("PNG", COLOUR, pnginfo=texts), pillow("PNG", COLOUR, icc_profile=bytes(3_000_000))):
        with pytest.raises(ValueError, match="too large"), Image.open(io.BytesIO(content)) as reference:
            reference.load()
        assert np.array_equal(decode(Path("x"), content).rgb(), COLOUR)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_a_picture_that_is_too_large_can_be_made_smaller_by_the_command_that_is_printed(tmp_path, suffix):
    path = tmp_path / f"a large one{suffix}"
    values = np.zeros((13_000, 14_000), dtype=bool)
    values[:6_500] = True
    values = values if suffix == ".png" else values * np.uint8(255)
    path.write_bytes(pillow("PNG", values) if suffix == ".png" else tiff(values, compression="zlib"))
    with pytest.raises(BadInput, match="182 megapixels, at most 179 are read; make it smaller: ") as told:
        read_pixels(path)
    command = shlex.split(str(told.value).partition("make it smaller: ")[2])
    assert command[0] == "fsamc"
    assert fsamc(*command[1:]) == 0
    assert image_size(path) == (6500, 7000)
    image = read_image(path)
    assert (image[:3250] == 255).all()
    assert (image[3250:] == 0).all()


CHECKS: dict[str, Callable[[Path], Any]] = {"image": read_image, "mask": read_mask, "size": image_size}


@pytest.mark.parametrize("check", CHECKS)
def test_a_header_that_promises_too_much_takes_no_memory(tmp_path, check):
    path = tmp_path / "bomb.tif"
    content = bytearray(tiff(GREY))
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        for code in (256, 257):
            struct.pack_into("<I", content, file.pages[0].tags[code].valueoffset, 1 << 20)
    path.write_bytes(content)
    if check == "size":
        assert image_size(path) == (1 << 20, 1 << 20)
        return
    with pytest.raises(BadInput, match="megapixels"):
        CHECKS[check](path)
