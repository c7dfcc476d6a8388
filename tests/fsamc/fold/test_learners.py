"""Learners after supports that no fold has: classes of different numbers of images."""

from __future__ import annotations

import numpy as np
import pytest

from fsamc.config.dotted import updated
from fsamc.data.category import PathsByClass
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.learners import fold_learner
from fsamc.fold.stopwatch import Stopwatch


@pytest.mark.parametrize("kind", ["cache", "lda", "logistic", "prototype", "ridge"])
def test_classes_of_different_numbers_of_images_count_alike(tiny_category, tiny_config, store, kind):
    """As if each image of a class came so often that all classes have the same number."""
    inputs, watch = FoldInputs(tiny_category, updated(tiny_config, {"head.kind": kind}), seed=1), Stopwatch()
    inputs.build_missing(store, watch)
    learner, classes = fold_learner(inputs, store, watch), tiny_category.classes

    def scores(support: PathsByClass) -> np.ndarray:
        return learner.trained_on(support).scores(tiny_category.defects)

    uneven = {name: paths[:count] for (name, paths), count in zip(classes.items(), (1, 2, 4), strict=True)}
    found, even = scores(uneven), scores({name: paths * (4 // len(paths)) for name, paths in uneven.items()})
    assert (found.std(1) > 1e-4).all(), "it tells the classes apart"
    if kind == "lda":  # whose covariance is of images, and not of classes
        assert found.shape == even.shape
    else:
        np.testing.assert_allclose(found, even, atol=2e-3 if kind == "logistic" else 1e-5)
