from __future__ import annotations

import errno

import numpy as np
import pytest

from fsamc.store.arrays import create_array, save_array


@pytest.mark.parametrize(
    "array",
    [
        np.arange(24, dtype=np.int32).reshape(2, 3, 4),
        np.linspace(-1, 1, 7, dtype=np.float16),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.zeros((0, 5), np.int64),
        np.float32(3.5).reshape(()),
    ],
)
def test_an_array_is_saved_as_numpy_would_have_it(tmp_path, array):
    save_array(tmp_path / "a.npy", array)
    found = np.load(tmp_path / "a.npy", allow_pickle=False)
    assert found.dtype == array.dtype
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)
    np.save(tmp_path / "b.npy", np.ascontiguousarray(array).reshape(array.shape))
    assert (tmp_path / "a.npy").read_bytes() == (tmp_path / "b.npy").read_bytes()


def test_a_new_array_is_zeros_that_can_be_filled_piece_by_piece(tmp_path):
    made = create_array(tmp_path / "a.npy", np.float16, (5, 3))
    assert not made.any()
    made[1:3] = 2
    made.flush()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy")[:, 0], [0, 2, 2, 0, 0])


def test_the_room_is_taken_at_once(tmp_path):
    create_array(tmp_path / "a.npy", np.float32, (1 << 20,))
    assert (tmp_path / "a.npy").stat().st_blocks * 512 >= 4 << 20


def test_a_full_disk_is_an_error_with_a_number_and_the_file(disk):
    file = disk("size=64k") / "a.npy"
    for make in (create_array, lambda path, dtype, shape: save_array(path, np.ones(shape, dtype))):
        with pytest.raises(OSError, match=r"No space left on device.*a\.npy") as error:
            make(file, np.float32, (1 << 20,))
        assert error.value.errno == errno.ENOSPC
