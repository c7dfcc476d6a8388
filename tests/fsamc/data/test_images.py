from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fsamc.config.features import Features
from fsamc.data.images import kept_share, read_image, to_square, to_tensor
from fsamc.errors import BadInput

NOISE = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path):
    for path in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(BadInput, match="cannot be read"):
            read_image(path)


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
    white = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2)
    seen = to_square(white, Features(fit="crop", size=side))[..., 0] > 127
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
