"""Picture files to pixel values, by what the file says of itself: format, bits, meaning of the values, orientation.

Pillow decodes jpg, bmp, webp, and png and jp2 of 8 bits. Of deep ones it keeps 8 bits, some wrongly, and says nothing
of `sBIT`: those are read by imagecodecs, and tif by tifffile.
"""

from __future__ import annotations

import io
import shlex
import struct
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import xxhash
from PIL import Image, UnidentifiedImageError

from fsamc.data.pictures.pixels import Pixels, Unsupported, upright
from fsamc.errors import BadInput

MOST_PIXELS = 178_956_970  # from which on Pillow takes a picture for a bomb

_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "JPEG2000")
_LOSSY = ("JPEG", "MPO", "WEBP", "JPEG2000")
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
_PNG = b"\x89PNG\r\n\x1a\n"
_UNUSED = (b"iCCP", b"tEXt", b"zTXt", b"iTXt")  # chunks of PNG of which Pillow takes a megabyte, and refuses more
_CODE_STREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000, beginning with sizes and bits
_ORIENTATION = 0x0112
_one_at_a_time = threading.Lock()

# How formats begin that are not read: offset, bytes, name.
_OTHERS = (
    (0, b"GIF8", "a GIF"),
    (4, b"ftyphe", "an HEIC"),
    (4, b"ftypmif1", "an HEIC"),
    (4, b"ftypmsf1", "an HEIC"),
    (4, b"ftypavi", "an AVIF"),
    (4, b"JXL ", "a JPEG XL"),
    (0, b"\xff\x0a", "a JPEG XL"),
    (0, b"8BPS", "a Photoshop"),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR"),
    (0, b"%PDF", "a PDF"),
    (128, b"DICM", "a DICOM"),
)


def picture_digest(content: bytes) -> str:
    """Hash (xxh3, 128 bits) of a picture file's bytes, and of the way it is decoded where that is no longer the first.

    So what was computed from deep pictures, when most of them were decoded too dark, is computed again.
    """
    hashed = xxhash.xxh3_128(content)
    if content.startswith(_TIFF) or (content.startswith(_PNG) and content[24:25] == b"\x10"):
        hashed.update(b"decoded by its bits")
    return hashed.hexdigest()


def decode(path: Path, content: bytes, *, most_pixels: int = MOST_PIXELS) -> Pixels:
    """Decode the `content` of the picture file `path`, upright.

    Of a jpg with smaller pictures beside the primary one (previews, depth maps) that one is read.

    Raises BadInput for what is no picture that is read, is truncated, has no or too many pixels, several pages, or
    values that are no unsigned integers.
    """
    with _as_bad_input(path, content):
        height, width = _size(content)
        if height * width > most_pixels:
            raise BadInput(
                f"{path}: cannot be read as it is: {height * width / 1e6:.0f} megapixels, at most "
                f"{most_pixels / 1e6:.0f} are read; make it smaller: fsamc data shrink {shlex.quote(str(path))}"
            )
        if not height * width:
            raise Unsupported("has no pixels; replace or remove the file")
        return _decoded(content)


def header_size(path: Path, content: bytes) -> tuple[int, int]:
    """Height and width, upright, in pixels, from the header alone. Raises BadInput if there is none."""
    with _as_bad_input(path, content):
        return _size(content)


def _size(content: bytes) -> tuple[int, int]:
    if content.startswith(_TIFF):
        from fsamc.data.pictures.tiff import tiff_size  # here and below, because most pictures do without

        return tiff_size(content)
    with _opened(content) as image:
        # Pillow would decode a PNG without EXIF in search of one.
        turned = "exif" in image.info and image.getexif().get(_ORIENTATION, 1) >= 5
        return (image.width, image.height) if turned else (image.height, image.width)


def _decoded(content: bytes) -> Pixels:
    if content.startswith(_TIFF):
        from fsamc.data.pictures.tiff import read_tiff

        if (pixels := read_tiff(content)) is not None:
            return pixels
    return _by_pillow(content)


def _by_pillow(content: bytes) -> Pixels:
    with _opened(content) as image:
        _check_pages(image)
        if content.startswith(_PNG) and content[24] == 16:
            return _deep_png(content, _orientation(image))
        if image.format == "JPEG2000" and (bits := _bits_of_jpeg2000(content)) > 8:
            import imagecodecs

            return Pixels(_colours(imagecodecs.jpeg2k_decode(content)), bits, lossy=True)
        image.load()
        lossy = image.format in _LOSSY
        # Through RGBA: a palette with transparency cannot go straight to RGB without a warning.
        shown = image.convert("RGBA") if image.mode == "P" else image
        grey = shown.mode in ("1", "L", "LA")
        # What lies under alpha is what the camera saw: it is dropped, since compositing would invent an edge.
        values = np.asarray(shown.convert("L" if grey else "RGB"))
        turn = 1 if image.format == "TIFF" else _orientation(image)  # Pillow turns a TIFF itself
        return Pixels(upright(values, turn), 8, lossy)


def _deep_png(content: bytes, orientation: int) -> Pixels:
    """Decode 16 bits a value, of which `sBIT` says how many are significant.

    These are the upper ones, says the standard; cameras write them as the lower ones. So they are the lower ones where
    no value needs more bits, and some value has bits where the upper ones have none.
    """
    import imagecodecs

    values = upright(_colours(imagecodecs.png_decode(content)), orientation)
    stated = max((max(chunk[8:-4], default=16) for kind, chunk in _chunks(content) if kind == b"sBIT"), default=16)
    lower = 8 < stated < 16 and values.max() < 1 << stated and bool((values & ((1 << (16 - stated)) - 1)).any())
    return Pixels(values, stated if lower else 16)


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind of each chunk of a PNG, and the chunk: 4 bytes length, 4 bytes kind, data, 4 bytes checksum."""
    at = len(_PNG)
    while at + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at : at + 12 + length]
        at += 12 + length


def _bits_of_jpeg2000(content: bytes) -> int:
    """Bits of the deepest component, from the code stream's first segment."""
    start = content.index(_CODE_STREAM)
    (count,) = struct.unpack_from(">H", content, start + 40)
    each = content[start + 42 : start + 42 + 3 * count : 3]
    if max(each) & 0x80:
        raise Unsupported("is a JPEG 2000 of signed values; save it with unsigned integers")
    return max(each) + 1


def _colours(values: np.ndarray) -> np.ndarray:
    """Values [H, W] or [H, W, 1 to 4] without alpha: [H, W] or [H, W, 3]."""
    if values.ndim == 2:
        return values
    return values[..., :3] if values.shape[2] > 2 else values[..., 0]


def _orientation(image: Image.Image) -> int:
    with _quietly():
        return int(image.getexif().get(_ORIENTATION, 1))


def _check_pages(image: Image.Image) -> None:
    frames = getattr(image, "n_frames", 1)
    if image.format == "MPO":  # a jpg; smaller pictures in it are previews or depth maps
        sizes = [_size_of_frame(image, number) for number in range(frames)]
        frames = sizes.count(sizes[0])
        image.seek(0)
    if frames > 1:
        raise Unsupported(f"holds {frames} pictures, expected one; save the one that is meant by itself")


def _size_of_frame(image: Image.Image, number: int) -> tuple[int, int]:
    image.seek(number)
    return image.size


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    with _quietly():
        try:
            image: Image.Image = Image.open(io.BytesIO(content), formats=_FORMATS)
        except ValueError as error:
            if not ("MAX_TEXT" in str(error) and content.startswith(_PNG)):
                raise
            image = Image.open(io.BytesIO(_without_texts(content)), formats=_FORMATS)
    with image:
        yield image


def _without_texts(content: bytes) -> bytes:
    """Leave out a PNG's texts and colour profile, which nothing reads."""
    return _PNG + b"".join(chunk for kind, chunk in _chunks(content) if kind not in _UNUSED)


@contextmanager
def _quietly() -> Iterator[None]:
    """Open pictures of any size without warnings, e.g. of corrupt EXIF data.

    Python's filters and Pillow's limit are shared by all threads, hence the lock.
    """
    limit = Image.MAX_IMAGE_PIXELS
    with _one_at_a_time, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


@contextmanager
def _as_bad_input(path: Path, content: bytes) -> Iterator[None]:
    try:
        yield
    except (BadInput, MemoryError):
        raise
    except Unsupported as error:
        raise BadInput(f"{path}: {error}") from error
    # Decoders meet broken files with nearly every exception there is, SyntaxError included.
    except Exception as error:
        if kind := next((kind for at, start, kind in _OTHERS if content.startswith(start, at)), None):
            raise BadInput(f"{path}: is {kind} picture, which is not read; save it as png or jpg") from error
        raise BadInput(
            f"{path}: cannot be read as a png, jpg, bmp, tif, webp or jp2 image ({_reason(error, content)}); "
            "replace or remove the file"
        ) from error


def _reason(error: Exception, content: bytes) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "damaged, or of 12 bits" if content.startswith(b"\xff\xd8") else "damaged, or something else"
    return " ".join(str(error).split())[:200] or type(error).__name__
