from __future__ import annotations

import struct
import warnings
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fsamc.config.features import Features
from fsamc.data.images import image_size, kept_share, read_image, read_mask, to_square, to_tensor
from fsamc.errors import BadInput

GREY = np.array([[0, 50, 100], [128, 200, 255]], dtype=np.uint8)
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=2)
NOISE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)


def saved(folder: Path, pixels: np.ndarray | Image.Image, suffix: str = ".png", **options) -> Path:
    path = folder / f"image{suffix}"
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path, **options)
    return path


def raw_png(folder: Path, size: tuple[int, int], depth: int, colour: int, rows: bytes, **extra: bytes) -> Path:
    """A PNG made by hand, for what Pillow cannot write; `extra` chunks stand before the pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0))]
    parts += [chunk(kind.encode(), data) for kind, data in extra.items()]
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    path = folder / "image.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def three(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


@pytest.fixture(autouse=True)
def _no_warning_leaks():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".bmp", ".tif", ".tiff"])
def test_lossless_formats_give_back_their_pixels(tmp_path, suffix):
    assert np.array_equal(read_image(saved(tmp_path, COLOUR, suffix)), COLOUR)
    assert np.array_equal(read_image(saved(tmp_path, GREY, suffix)), three(GREY))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
def test_jpeg_comes_close(tmp_path, suffix):
    smooth = np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 64, 3)) * 3
    assert np.abs(read_image(saved(tmp_path, smooth, suffix, quality=95)).astype(int) - smooth).max() < 8


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_span_the_full_range_and_grey_agrees_with_colour(tmp_path, suffix):
    deep = np.array([[0, 255, 256, 257], [32768, 65279, 65280, 65535]], dtype=np.uint16)
    expected = np.array([[0, 0, 1, 1], [128, 254, 255, 255]], dtype=np.uint8)
    assert np.array_equal(read_image(saved(tmp_path, deep, suffix)), three(expected))
    colour = tmp_path / f"colour{suffix}"
    cv2.imwrite(str(colour), np.dstack([deep, deep, deep]))
    assert np.array_equal(read_image(colour), three(expected))


def test_sixteen_bit_big_endian_tiff(tmp_path):
    header = b"MM\0*" + struct.pack(">I", 8)
    tags = [
        (256, 4, 2),
        (257, 4, 1),
        (258, 3, 16 << 16),
        (259, 3, 1 << 16),
        (262, 3, 1 << 16),
        (273, 4, 8 + 2 + 96 + 4),
    ]
    tags += [(278, 4, 1), (279, 4, 4)]
    entries = b"".join(struct.pack(">HHII", tag, kind, 1, value) for tag, kind, value in tags)
    path = tmp_path / "image.tif"
    path.write_bytes(header + struct.pack(">H", 8) + entries + b"\0" * 4 + struct.pack(">HH", 0x1234, 0xFE00))
    assert read_image(path)[0, :, 0].tolist() == [0x12, 0xFE]


def test_alpha_is_dropped_whatever_lies_under_it(tmp_path):
    alpha = np.array([[0, 0, 128], [255, 1, 0]], dtype=np.uint8)
    assert np.array_equal(read_image(saved(tmp_path, np.dstack([COLOUR, alpha]))), COLOUR)
    assert np.array_equal(read_image(saved(tmp_path, Image.fromarray(np.dstack([GREY, alpha]), "LA"))), three(GREY))


def test_palette_with_and_without_transparency_is_looked_up(tmp_path):
    colours = bytes([10, 20, 30, 200, 100, 50])
    for extra in ({}, {"tRNS": bytes([0, 128])}):
        path = raw_png(tmp_path, (2, 1), 8, 3, b"\0\1\0", PLTE=colours, **extra)
        assert read_image(path).tolist() == [[[200, 100, 50], [10, 20, 30]]]


def test_fewer_than_eight_bits_span_the_full_range(tmp_path):
    assert read_image(raw_png(tmp_path, (8, 1), 1, 0, b"\0\xa5"))[0, :, 0].tolist() == [255, 0, 255, 0, 0, 255, 0, 255]
    assert read_image(raw_png(tmp_path, (4, 1), 2, 0, b"\0\x1b"))[0, :, 0].tolist() == [0, 85, 170, 255]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_exif_orientation_is_applied(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    path = saved(tmp_path, NOISE, suffix, exif=exif)
    expected = np.rot90(read_image(saved(tmp_path / "..", NOISE, suffix)), k=-1)
    assert np.array_equal(read_image(path), expected)
    assert image_size(path) == expected.shape[:2] == (70, 90)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_what_is_read_can_be_written_to(tmp_path, suffix):
    image = read_image(saved(tmp_path, NOISE, suffix))
    image += 1
    assert image.flags["C_CONTIGUOUS"]
    assert image_size(tmp_path / f"image{suffix}") == (90, 70)


@pytest.mark.parametrize("share", [0.03, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
def test_a_truncated_file_is_bad_input(tmp_path, suffix, share):
    path = saved(tmp_path, NOISE, suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadInput) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello, I am no picture\n", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_bad_input(tmp_path, content):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    for reader in (read_image, read_mask, image_size):
        with pytest.raises(BadInput, match=r"image\.png: cannot be read .* replace or remove"):
            reader(path)


def test_missing_file_folder_and_no_pixels_are_bad_input(tmp_path):
    for path in (tmp_path / "missing.png", tmp_path, raw_png(tmp_path, (0, 3), 8, 0, b"")):
        with pytest.raises(BadInput, match="cannot be read"):
            read_image(path)


def test_a_damaged_file_is_an_image_or_bad_input_and_nothing_else(tmp_path):
    random = np.random.default_rng(1)
    for suffix in (".png", ".jpg", ".bmp", ".tif"):
        path = saved(tmp_path, NOISE[:16, :16], suffix)
        whole = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        for _ in range(60):
            damaged = whole.copy()
            damaged[random.integers(0, len(whole), 4)] = random.integers(0, 256, 4)
            path.write_bytes(damaged.tobytes())
            with suppress(BadInput):
                assert read_image(path).dtype == np.uint8


@pytest.mark.parametrize("true", [1, 255, 65535])
def test_a_mask_means_the_same_whatever_its_largest_value(tmp_path, true):
    mask = np.array([[0, 1, 1], [0, 0, 1]], dtype=bool)
    path = saved(tmp_path, (mask * true).astype(np.uint16 if true > 255 else np.uint8))
    assert np.array_equal(read_mask(path), mask)
    assert read_mask(path).dtype == bool
    assert not read_mask(saved(tmp_path, np.zeros((3, 3), dtype=np.uint8))).any()


def test_masks_in_colour_one_bit_and_jpeg(tmp_path):
    mask = np.zeros((32, 32), dtype=bool)
    mask[8:16, 16:24] = True
    colour = np.zeros((32, 32, 4), dtype=np.uint8)
    colour[..., 3] = 255
    colour[mask, 0] = 255
    assert np.array_equal(read_mask(saved(tmp_path, mask)), mask)
    assert np.array_equal(read_mask(saved(tmp_path, colour)), mask)
    shifted = np.roll(mask, (3, 3), axis=(0, 1))  # off JPEG's blocks, so that its noise surrounds the mask
    assert np.array_equal(read_mask(saved(tmp_path, shifted.astype(np.uint8) * 255, ".jpg")), shifted)


def dot(height: int, width: int, y: int, x: int) -> np.ndarray:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[y : y + 10, x : x + 10] = 255
    return image


def centre(square: np.ndarray) -> tuple[int, int]:
    rows, columns = np.nonzero(square[..., 0] > 127)
    return int(rows.mean() + 0.5), int(columns.mean() + 0.5)


@pytest.mark.parametrize(
    ("features", "expected"),
    [
        (Features(fit="squash", size=100), (30, 62)),
        (Features(fit="crop", size=100), (30, 75)),  # via 100 x 200
        (Features(fit="crop", size=100, resize=150), (20, 87)),  # via 150 x 300
        (Features(fit="letterbox", size=100), (40, 62)),  # 50 x 100 from row 25
    ],
)
def test_a_mark_lands_where_the_geometry_says(features, expected):
    square = to_square(dot(200, 400, 55, 245), features)
    assert (square.shape, square.dtype) == ((100, 100, 3), np.uint8)
    assert np.abs(np.subtract(centre(square), expected)).max() <= 1


def test_a_crop_does_not_see_the_margin():
    assert not to_square(dot(200, 400, 95, 40), Features(fit="crop", size=100)).any()


def test_letterbox_repeats_the_border_and_nothing_else():
    square = to_square(NOISE, Features(fit="letterbox", size=90))
    assert np.array_equal(square[:, 10:80], NOISE)
    assert np.array_equal(square[:, :10], np.repeat(NOISE[:, :1], 10, axis=1))
    assert np.array_equal(square[:, 80:], np.repeat(NOISE[:, -1:], 10, axis=1))


@pytest.mark.parametrize("fit", ["squash", "crop", "letterbox"])
def test_a_square_of_the_right_size_is_left_as_it_is(fit):
    assert np.array_equal(to_square(NOISE[:64, :64], Features(fit=fit, size=64)), NOISE[:64, :64])


@given(st.integers(1, 90), st.integers(1, 70), st.sampled_from(["squash", "crop", "letterbox"]))
def test_every_shape_becomes_a_square(height, width, fit):
    assert to_square(NOISE[:height, :width], Features(fit=fit, size=32)).shape == (32, 32, 3)


@settings(deadline=None)  # the first call imports torchvision
@given(st.integers(20, 90), st.integers(20, 70), st.sampled_from([32, 40, 57]))
def test_crop_is_the_papers_preprocessing(height, width, resize):
    transforms = pytest.importorskip("torchvision.transforms.functional")
    image = NOISE[:height, :width]
    resized = transforms.resize(Image.fromarray(image), resize, interpolation=Image.Resampling.BILINEAR)
    expected = np.asarray(transforms.center_crop(resized, 32))
    assert np.array_equal(to_square(image, Features(fit="crop", size=32, resize=resize)), expected)


def test_kept_share_by_hand():
    mask = np.zeros((100, 200), dtype=bool)
    mask[:, 40:60] = True  # the centre crop of 100 x 200 sees the columns 50 to 149
    features = Features(fit="crop", size=100)
    assert kept_share(mask, features) == 0.5
    assert kept_share(np.roll(mask, 30, axis=1), features) == 1.0
    assert kept_share(np.roll(mask, -20, axis=1), features) == 0.0
    assert kept_share(np.zeros_like(mask), features) == 1.0
    # 40 x 61 becomes 80 x 122, of which the columns 21 to 100 are seen: those around the centres of 10 to 49.
    seen = [kept_share(np.tile(np.arange(61) == x, (40, 1)), Features(fit="crop", size=80)) for x in range(61)]
    assert np.flatnonzero(seen).tolist() == list(range(10, 50))
    for fit in ("squash", "letterbox"):
        assert kept_share(mask, Features(fit=fit, size=100)) == 1.0


@given(st.integers(20, 90), st.integers(20, 90), st.integers(0, 2**32 - 1))
def test_kept_share_is_what_to_square_shows(height, width, seed):
    """Pixels of a mask that the crop keeps: counted through `to_square` on an image of pixel numbers."""
    mask = np.random.default_rng(seed).random((height, width)) < 0.3
    side = min(height, width)
    if side < 32 or not mask.any():
        return
    seen = to_square(three(mask.astype(np.uint8) * 255), Features(fit="crop", size=side))[..., 0] > 127
    assert kept_share(mask, Features(fit="crop", size=side)) == pytest.approx(seen.sum() / mask.sum())


def test_to_tensor_by_hand():
    squares = np.zeros((2, 32, 32, 3), dtype=np.uint8)
    squares[1, 3, 5] = (255, 51, 0)
    squares.setflags(write=False)
    tensor = to_tensor(squares)
    assert tensor.shape == (2, 3, 32, 32)
    assert tensor.dtype == torch.float32
    expected = [(1 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, -0.406 / 0.225]
    torch.testing.assert_close(tensor[1, :, 3, 5], torch.tensor(expected))
    torch.testing.assert_close(tensor[0, :, 0, 0], torch.tensor([-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225]))
