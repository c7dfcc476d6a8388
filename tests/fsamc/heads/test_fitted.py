"""Heads that are fitted to the support, against other libraries and written-out sums."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch import Tensor
from torch.nn import functional as F

from tests.fsamc.heads.test_heads import make

C, S, E = 3, 4, 5
TRUTH = np.repeat(np.arange(C), S)


def drawn(shots: int = S, *, dim: int = E) -> tuple[Tensor, Tensor]:
    """Queries [6, E] and support [C, S, E] whose classes overlap."""
    generator = torch.Generator().manual_seed(0)
    support = torch.randn(C, shots, dim, generator=generator) + torch.randn(C, 1, dim, generator=generator)
    return torch.randn(6, dim, generator=generator), support


@pytest.mark.parametrize("penalty", [0.01, 1.0])
@pytest.mark.parametrize("dim", [E, 40])
def test_ridge_is_scikit_learns(penalty, dim):
    """A common factor on data and penalty is left out of account there: it adds up squares, this head averages them."""
    queries, support = drawn(dim=dim)
    peer = Ridge(alpha=penalty * C * S).fit(support.flatten(0, 1).numpy(), np.eye(C)[TRUTH])
    expected = peer.predict(queries.numpy()) - 1 / C  # the intercept at the mean: equal shares
    found = make("ridge", penalty=penalty).relate(queries, support)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("penalty", [0.05, 1.0])
def test_logistic_is_scikit_learns(penalty):
    queries, support = drawn()
    images = support.flatten(0, 1)
    middle = images.mean(0)
    peer = LogisticRegression(C=1 / (C * S * penalty), fit_intercept=False, tol=1e-8, max_iter=1000)
    peer.fit((images - middle).numpy(), TRUTH)
    expected = peer.decision_function((queries - middle).numpy())
    found = make("logistic", penalty=penalty).relate(queries, support)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("shrinkage", [0.1, 1.0])
@pytest.mark.parametrize("dim", [E, 40])
def test_lda_is_the_distance_by_the_inverse_of_the_shrunk_covariance(shrinkage, dim):
    """But for the factor that makes it the Euclidean distance where all is shrunk."""
    queries, support = (one.double() for one in drawn(dim=dim))
    means = support.mean(1)
    within = (support - means[:, None]).flatten(0, 1)
    covariance = within.T @ within / len(within)
    variance = covariance.diagonal().mean()
    inverse = torch.linalg.inv((1 - shrinkage) * covariance + shrinkage * variance * torch.eye(dim).double())
    apart = queries[:, None] - means
    expected = -torch.einsum("qce,ef,qcf->qc", apart, inverse, apart) / 2
    found = make("lda", shrinkage=shrinkage).relate(queries, support)
    torch.testing.assert_close(found, expected * shrinkage * variance)


def test_lda_is_euclidean_at_one_shot_and_where_all_is_shrunk():
    queries, support = drawn(1)
    euclidean = -torch.cdist(queries, support[:, 0]).square() / 2
    torch.testing.assert_close(make("lda", shrinkage=0.1).relate(queries, support), euclidean)
    queries, support = drawn()
    euclidean = -torch.cdist(queries, support.mean(1)).square() / 2
    torch.testing.assert_close(make("lda", shrinkage=1.0).relate(queries, support), euclidean)


def test_a_caches_votes_by_hand():
    """Cosines 1 and 0.8 with the first class, 0.6 and 0 with the second: votes e^-0, e^-1 and e^-2, e^-5."""
    support = torch.tensor([[[1.0, 0.0], [0.8, 0.6]], [[0.6, 0.8], [0.0, 2.0]]])
    votes = make("cache", sharpness=5.0, centre=0.0).relate(torch.tensor([[3.0, 0.0]]), support).exp()
    torch.testing.assert_close(votes, torch.tensor([[(1 + math.e**-1) / 2, (math.e**-2 + math.e**-5) / 2]]))


def test_votes_that_nobody_hears_still_tell_which_is_louder():
    support = torch.tensor([[[0.0, 1.0]], [[-1.0, 0.0]]])
    logits = make("cache", sharpness=500.0, centre=0.0).relate(torch.tensor([[1.0, 0.0]]), support)
    torch.testing.assert_close(logits, torch.tensor([[-500.0, -1000.0]]))


@pytest.mark.parametrize("kind", ["adapter", "cache"])
class TestLearning:
    """What holds of heads that a few steps fit to the support."""

    def test_without_steps_it_is_where_it_begins(self, kind):
        queries, support = drawn()
        begun = make({"adapter": "prototype"}.get(kind, kind))
        expected = begun.relate(queries, [begun.represent(images) for images in support])
        torch.testing.assert_close(make(kind, epochs=0).relate(queries, support), expected)
        assert not torch.allclose(make(kind, epochs=5).relate(queries, support), expected)

    def test_at_one_shot_nothing_is_learnt(self, kind):
        queries, support = drawn(1)
        assert torch.equal(make(kind, epochs=0).relate(queries, support), make(kind, epochs=9).relate(queries, support))

    def test_it_learns_to_overlook_what_varies_within_classes(self, kind):
        """A channel for each class, and two others that vary a lot within all of them; named are images never seen."""
        generator = torch.Generator().manual_seed(1)

        def images(count: int) -> Tensor:
            values = 0.1 * torch.randn(C, count, 12, generator=generator)
            values[..., :2] += torch.randn(C, count, 2, generator=generator)
            values[..., -C:] += torch.eye(C)[:, None]
            return values

        support, queries = images(5), images(40).flatten(0, 1)
        loss = {
            epochs: F.cross_entropy(
                make(kind, epochs=epochs, lr=1e-2).relate(queries, support) / {"adapter": 0.1, "cache": 1.0}[kind],
                torch.arange(C).repeat_interleave(40),
            )
            for epochs in (0, 10)
        }
        assert loss[10] < 0.95 * loss[0]

    def test_nobody_names_the_image_of_a_class_of_one(self, kind):
        queries, support = uneven(1, 2, 4)
        logits = make(kind, epochs=5).relate(queries, support)
        assert logits.isfinite().all()
        assert not torch.allclose(logits, make(kind, epochs=0).relate(queries, support))


def test_a_key_learns_nothing_of_the_vote_for_itself():
    """Two classes of two: with the gradients of one step at hand, written out without a key's own vote."""
    _, support = drawn(2)
    support = support[:2]
    images = F.normalize((support - 0.85 * support.mean((0, 1))).flatten(0, 1), dim=-1)
    keys = images.clone().requires_grad_()
    votes = (10 * (images @ F.normalize(keys, dim=-1).T - 1)).exp()
    own = torch.stack([votes[0, 1], votes[1, 0], votes[2, 3], votes[3, 2]])
    other = torch.stack([votes[:2, 2:].mean(1), votes[2:, :2].mean(1)]).flatten()
    (-(own / (own + other)).log()).mean().backward()
    assert keys.grad is not None
    lr = 1e-3
    moved = images * (1 - 0.01 * lr) - lr * keys.grad / (keys.grad.abs() + 1e-4)  # AdamW's first step
    queries = torch.eye(E)
    about = F.normalize(queries - 0.85 * support.mean((0, 1)), dim=-1)
    cosines = (about @ F.normalize(moved.detach(), dim=-1).T).unflatten(1, (2, 2))
    expected = (10 * (cosines - 1)).exp().mean(-1).log()
    cache = make("cache", epochs=1, centre=0.85)
    torch.testing.assert_close(cache.relate(queries, support), expected, rtol=1e-4, atol=1e-4)


def uneven(*counts: int, dim: int = E) -> tuple[Tensor, list[Tensor]]:
    """Queries [6, E] and classes of as many images as said."""
    queries, support = drawn(max(counts), dim=dim)
    return queries, [of_class[:count] for of_class, count in zip(support, counts, strict=True)]


@pytest.mark.parametrize("kind", ["cache", "logistic", "ridge", "siamese"])
def test_a_class_of_few_images_counts_as_if_each_came_several_times(kind):
    queries, support = uneven(1, 2, 4, dim=9)
    several = torch.stack([of_class.repeat(4 // len(of_class), 1) for of_class in support])
    head = make(kind, shape=(1, 3, 2), pool="anomalous").eval()  # whose embeddings, where it has any, are of 3 + 2 + 4
    tolerance = {"atol": 2e-3, "rtol": 0.0} if kind == "logistic" else {}  # where each of its descents ends
    torch.testing.assert_close(head.relate(queries, support), head.relate(queries, several), **tolerance)


def test_lda_of_uneven_classes_pools_all_images_about_their_classes_means():
    queries, support = uneven(1, 2, 4)
    within = torch.cat([of_class - of_class.mean(0) for of_class in support])
    covariance = within.T @ within / len(within)
    variance = covariance.diagonal().mean()
    inverse = torch.linalg.inv((covariance + variance * torch.eye(E)) / 2) * variance / 2
    expected = [[-(q - one.mean(0)) @ inverse @ (q - one.mean(0)) / 2 for one in support] for q in queries]
    torch.testing.assert_close(make("lda", shrinkage=0.5).relate(queries, support), torch.tensor(expected))
