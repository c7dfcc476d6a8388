from __future__ import annotations

import numpy as np
import pytest

from fsamc.detectors.bank import MemoryBank, anomaly_score
from fsamc.detectors.coreset import choose_bank

FEATURES = np.random.default_rng(0).normal(size=(300, 24)).astype(np.float16)


def build(features=FEATURES, ratio=0.1, seed=1):
    return MemoryBank.build(features, ratio, seed, projection=8, starts=5)


def test_the_rows_are_the_patches_that_the_coreset_chose():
    bank = build(ratio=0.2, seed=2)
    expected = choose_bank(FEATURES, count=60, projection=8, starts=5, seed=2)
    assert np.array_equal(bank.indices, expected)
    assert bank.rows.dtype == FEATURES.dtype
    assert np.array_equal(bank.rows, FEATURES[expected])


def test_a_memory_mapped_file_gives_the_same_bank_and_is_not_held(tmp_path):
    np.save(tmp_path / "features.npy", FEATURES)
    bank = build(np.load(tmp_path / "features.npy", mmap_mode="r"))
    assert np.array_equal(bank.indices, build().indices)
    assert not isinstance(bank.rows, np.memmap)


def test_a_residual_is_the_difference_and_its_norm_the_distance():
    bank = build()
    distances, indices = bank.nearest(FEATURES)
    residuals = bank.residuals(FEATURES)
    assert residuals.dtype == np.float32
    assert np.array_equal(residuals, FEATURES.astype(np.float32) - bank.rows[indices].astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(residuals, axis=1), distances, rtol=1e-6)


def test_the_anomaly_score_is_the_largest_patch_distance():
    scores = anomaly_score(np.array([[0.0, 3.0, 1.0], [2.0, 0.5, 0.25]]))
    assert scores.dtype == np.float32
    assert scores.tolist() == [3.0, 2.0]


@pytest.mark.parametrize("ratio", [0.0, -0.1, 1.5, float("nan")])
def test_a_ratio_that_is_no_share_is_refused(ratio):
    with pytest.raises(ValueError, match=r"expected a ratio in \(0, 1\], found"):
        MemoryBank.build(np.ones((4, 3), np.float32), ratio)
