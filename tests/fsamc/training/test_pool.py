"""Queries that are named together: by hand, by the slow definition, and within a fold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fsamc.config.dotted import updated
from fsamc.config.scoring import Pool
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.learners import fold_learner
from fsamc.fold.run import run_fold
from fsamc.fold.stopwatch import Stopwatch
from fsamc.heads.base import Head, head_class
from fsamc.training.pool import moved_means
from tests.fsamc.kinds import HEADS


def test_a_hand_worked_round():
    """On a line: classes at 0 and 4, queries at 1, 2 and 6; logits that name 1 and 2 the first and 6 the second."""

    def relate(queries, means):
        return -1000 * (queries - torch.stack(tuple(means)).T).abs()

    support, queries = torch.tensor([[0.0], [4.0]]), torch.tensor([[1.0], [1.9], [6.0]])
    moved = moved_means(relate, support, queries, shots=2, pool=Pool(rounds=1))
    torch.testing.assert_close(moved, torch.tensor([[(0 + 0 + 1 + 1.9) / 4], [(4 + 4 + 6) / 3]]))
    again = moved_means(relate, support, queries, shots=2, pool=Pool(rounds=2))
    torch.testing.assert_close(again, moved)  # nobody changes sides
    undecided = moved_means(lambda q, m: torch.zeros(len(q), len(m)), support, queries, shots=1, pool=Pool(rounds=1))
    torch.testing.assert_close(undecided, torch.tensor([[(0 + 8.9 / 2) / 2.5], [(4 + 8.9 / 2) / 2.5]]))


def test_a_fold_with_a_pool_equals_the_slow_definition(tiny_category, tiny_config, store):
    """Query by query and class by class; with no round it is the fold whose queries are named alone."""
    config = updated(tiny_config, {"head.kind": "prototype", "representation.patches": 8})
    pooled = updated(config, {"scoring.pool.rounds": 2, "scoring.pool.temperature": 0.3})
    inputs = FoldInputs(tiny_category, config, seed=1)
    paths = [path for of_class in inputs.queries.values() for path in of_class]
    alone, together = (run_fold(tiny_category, one, seed=1, store=store) for one in (config, pooled))
    trained = fold_learner(inputs, store, Stopwatch()).trained_on(inputs.support)
    np.testing.assert_array_equal(np.float32(alone.scores), trained.scores(paths))

    vectors = trained.head.encode(next(trained.images.batches(paths))).double().numpy()
    support = [mean.double().numpy() for mean in trained.anchors]
    means = support
    for _ in range(2):
        shares = [np.exp(_cosines(one, means, config.head.centre) / 0.3) for one in vectors]
        shares = [one / one.sum() for one in shares]
        means = [
            (config.shots * support[c] + sum(share[c] * one for share, one in zip(shares, vectors, strict=True)))
            / (config.shots + sum(share[c] for share in shares))
            for c in range(len(support))
        ]
    scores = [_cosines(one, means, config.head.centre) for one in vectors]
    np.testing.assert_allclose(together.scores, scores, atol=1e-5)
    assert np.abs(np.subtract(together.scores, alone.scores)).max() > 1e-3
    assert replace(together, key="", scores=(), predicted=(), stages={}) == replace(
        alone, key="", scores=(), predicted=(), stages={}
    )


def _cosines(query, means, centre):
    about = centre * np.mean(means, axis=0)
    return np.array(
        [
            (query - about) @ (mean - about) / np.linalg.norm(query - about) / np.linalg.norm(mean - about)
            for mean in means
        ]
    )


@pytest.mark.parametrize("kind", sorted(HEADS))
def test_only_heads_whose_classes_are_mean_vectors_take_a_pool(kind):
    settings = HEADS[kind]
    if kind != "direct":
        assert settings.means == (head_class(settings).represent is Head.represent)
    changes = {"head.kind": kind, "scoring.pool.rounds": 1}
    if settings.means and settings().sees == "vectors":
        assert updated(FoldConfig(), changes).scoring.pool.rounds == 1
    else:
        with pytest.raises(
            BadInput, match=rf"head.kind: {kind}.* has no mean vector of a class.*folds.pool.rounds to 0"
        ):
            updated(FoldConfig(), changes)
