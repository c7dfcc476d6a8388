"""Shrinking of arrays: nothing is lost, features become smaller, a stream that grows beyond what is said is refused."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from fsamc.store.shrinking import LEAST, Shrunk, grow, shrink


def test_arrays_come_back_bit_for_bit_and_features_are_smaller():
    generator = np.random.default_rng(0)
    rows = generator.normal(0, 0.2, (1000, 1024)).astype(np.float16)
    rows[0, :5] = [np.inf, -np.inf, np.nan, -0.0, 6e-8]
    arrays = {"rows": rows, "wide": generator.normal(size=(2, LEAST)).astype(np.float32), "few": np.arange(3)}
    written, shrunk = shrink(arrays)
    assert set(shrunk) == {"rows", "wide"}
    assert written["rows.zlib"].nbytes < 0.9 * rows.nbytes
    grown = grow(written, shrunk)
    assert set(grown) == set(arrays)
    for name, array in arrays.items():
        assert (grown[name].dtype, grown[name].shape) == (array.dtype, array.shape)
        assert grown[name].tobytes() == array.tobytes()


def test_a_short_array_stays_as_it_is():
    assert shrink({"few": np.zeros(3, np.float32)})[1] == {}


@pytest.mark.parametrize("numbers", [7, 9, 1 << 20])
def test_a_stream_of_another_size_is_refused(numbers):
    stream = np.frombuffer(zlib.compress(bytes(4 * numbers)), np.uint8)
    with pytest.raises(ValueError, match="another size"):
        grow({"a.zlib": stream}, {"a": Shrunk(dtype="float32", shape=(8,))})


@pytest.mark.parametrize("shape", [(1 << 40,), (-1,), (-2, -4)])
def test_an_impossible_shape_is_refused(shape):
    with pytest.raises(ValueError, match="larger than any that is read"):
        grow({"a.zlib": np.zeros(8, np.uint8)}, {"a": Shrunk(dtype="float32", shape=shape)})


def test_what_is_no_stream_or_not_there_is_refused():
    like = {"a": Shrunk(dtype="float16", shape=(8,))}
    with pytest.raises(zlib.error):
        grow({"a.zlib": np.zeros(8, np.uint8)}, like)
    with pytest.raises(KeyError):
        grow({}, like)
