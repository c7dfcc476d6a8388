from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
import torch

from fsamc.representation.units import ChannelScaling, Whitening, mean_and_covariance

G, P, D = 6, 9, 5


def good_patches(seed: int = 0) -> np.ndarray:
    """Patches [G, P, D] whose channels go together and lie far from zero."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(G, P, D)) @ rng.normal(size=(D, D)) + 20).astype(np.float16)


def test_mean_and_covariance_are_numpys_on_all_patches():
    good = good_patches()
    mean, covariance = mean_and_covariance(good, "cpu")
    rows = good.reshape(-1, D).astype(float)
    np.testing.assert_allclose(mean, rows.mean(0))
    np.testing.assert_allclose(covariance, np.cov(rows, rowvar=False, bias=True), rtol=1e-4, atol=1e-5)


def test_whitened_normal_patches_vary_alike_in_all_directions():
    rows = torch.from_numpy(good_patches().astype(np.float32))
    whitened = Whitening(mean_and_covariance(good_patches(), "cpu")[1], 0.0, "cpu")(rows)
    assert whitened.shape == rows.shape
    np.testing.assert_allclose(np.cov(whitened.reshape(-1, D).numpy().T, bias=True), np.eye(D), atol=1e-3)


@pytest.mark.parametrize("shrinkage", [0.0, 0.02, 0.5, 1.0])
def test_products_are_those_by_the_symmetric_root_of_the_shrunk_covariance(shrinkage):
    covariance = mean_and_covariance(good_patches(), "cpu")[1]
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / D * np.eye(D)
    values = np.random.default_rng(1).normal(size=(7, D))
    symmetric = values @ scipy.linalg.inv(scipy.linalg.sqrtm(shrunk)).real
    whitened = Whitening(covariance, shrinkage, "cpu")(torch.from_numpy(values).float()).numpy()
    np.testing.assert_allclose(whitened @ whitened.T, symmetric @ symmetric.T, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("covariance", "shrinkage"), [(np.zeros((3, 3)), 0.02), (np.ones((3, 3)), 0.0)], ids=["constant", "of rank one"]
)
def test_a_covariance_without_inverse_is_told_with_what_to_do(covariance, shrinkage):
    with pytest.raises(ValueError, match=rf"raise representation\.shrinkage \({shrinkage}\) or set .*scale=channel"):
        Whitening(covariance, shrinkage, "cpu")


def test_channels_in_their_deviations_by_hand():
    scaled = ChannelScaling(np.array([2.0, 0.5], np.float32), "cpu")(torch.tensor([[[4.0, 3.0]]]))
    assert scaled.tolist() == [[[2.0, 6.0]]]
