from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from fsamc.heads.base import Head
from fsamc.heads.sphere import on_sphere
from fsamc.representation.represented import Represented
from tests.fsamc.kinds import HEADS, make_head

P, D, R = 9, 6, 2  # a grid of 3 x 3, or nine views


def maps(count: int = 4, *, seed: int = 0) -> Represented:
    """Batches that heads on maps take, and heads on vectors, too, which see a profile beside them."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(count, P, D, generator=generator)
    return Represented(values, torch.rand(count, R, generator=generator))


def make(kind: str = "contrastive", *, seed: int = 0, shape: tuple[int, int, int] | None = None, **values: Any) -> Head:
    sizes = {"hidden": (8, 4), "relation": (8, 4), "embedding": 32, "reduction": 2}
    shape = shape or (P, D, 0 if values.get("pool") == "flatten" else R)
    return make_head(kind, shape=shape, seed=seed, **(sizes | values))


UNTRAINED = ("adapter", "cache", "lda", "logistic", "prototype", "ridge")
VARIANTS: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in UNTRAINED}
VARIANTS["prototype about the origin"] = {"kind": "prototype", "centre": 0.0}
VARIANTS["cache, trained"] = {"kind": "cache", "epochs": 5}
for kind in ("contrastive", "dpgn", "maml", "matchingnet", "protonet", "siamese", "vanilla"):
    VARIANTS[f"{kind}, flatten"] = {"kind": kind, "pool": "flatten"}
    VARIANTS[f"{kind}, anomalous"] = {"kind": kind, "pool": "anomalous"}
ON_VECTORS = [name for name, settings in VARIANTS.items() if settings.get("pool") != "flatten"]
VARIANTS["cross-attention"] = {"kind": "cross_attention"}


def classes(head: Head, support: Represented) -> Tensor:
    """What stands for classes of one support image each."""
    return torch.stack([head.represent(one[None]) for one in head.encode(support)])


def test_every_head_that_sees_no_images_is_among_the_variants():
    assert {settings["kind"] for settings in VARIANTS.values()} == {*HEADS} - {"direct"}
    seen = {name: HEADS[settings["kind"]](**settings).sees for name, settings in VARIANTS.items()}
    assert [name for name, sees in seen.items() if sees == "vectors"] == ON_VECTORS


@pytest.mark.parametrize("variant", VARIANTS)
class TestEveryHead:
    """What holds of a head whatever it does."""

    def test_has_something_to_train_where_its_settings_say_so(self, variant):
        assert bool(list(make(**VARIANTS[variant]).parameters())) == HEADS[VARIANTS[variant]["kind"]].trained

    def test_weights_come_from_the_generator_alone(self, variant):
        before = torch.get_rng_state()
        one, same, other = (make(**VARIANTS[variant], seed=seed).state_dict() for seed in (0, 0, 1))
        assert torch.equal(torch.get_rng_state(), before)
        assert all(torch.equal(one[name], same[name]) for name in one)
        if one:
            assert any(not torch.equal(one[name], other[name]) for name in one)

    def test_logits_have_a_row_per_query_and_a_column_per_class_at_two_shots_and_at_one(self, variant):
        head = make(**VARIANTS[variant]).eval()
        for logits in (head.relate(head.encode(maps(4)), several(head)), head(maps(4), maps(3, seed=1))):
            assert logits.shape == (4, 3)
            assert logits.dtype == torch.float32
            assert logits.isfinite().all()
            assert (logits.std(1) > 1e-4).all(), "it tells the classes apart"

    def test_permuting_the_classes_permutes_the_logits(self, variant):
        head = make(**VARIANTS[variant]).eval()
        queries, support = head.encode(maps(4)), several(head)
        logits = head.relate(queries, support)
        torch.testing.assert_close(head.relate(queries, support[[2, 0, 1]]), logits[:, [2, 0, 1]])
        torch.testing.assert_close(head.relate(queries[[3, 1]], support), logits[[3, 1]])
        assert torch.equal(head.relate(queries, support), logits), "the same again"

    def test_an_image_is_encoded_by_itself_when_it_is_classified(self, variant):
        head = make(**VARIANTS[variant]).eval()
        alone = torch.cat([head.encode(maps(4).take([i])) for i in range(4)])
        torch.testing.assert_close(head.encode(maps(4)), alone)

    def test_an_episode_is_relate_of_encode(self, variant):
        head = make(**VARIANTS[variant]).eval()
        expected = head.relate(head.encode(maps(4)), classes(head, maps(3, seed=1)))
        torch.testing.assert_close(head(maps(4), maps(3, seed=1)), expected)

    def test_the_order_of_a_classs_support_does_not_matter(self, variant):
        head = make(**VARIANTS[variant]).eval()
        queries, encoded = head.encode(maps(4)), head.encode(maps(6, seed=1))
        one, other = (
            torch.stack([head.represent(encoded[rows]), head.represent(encoded[[4, 5, 2]])])
            for rows in ([0, 1, 3], [3, 0, 1])
        )
        torch.testing.assert_close(head.relate(queries, one), head.relate(queries, other))


def several(head: Head) -> Tensor:
    """What stands for three classes of two support images."""
    return torch.stack([head.represent(head.encode(maps(2, seed=seed))) for seed in (1, 2, 3)])


@pytest.mark.parametrize("variant", [name for name, settings in VARIANTS.items() if HEADS[settings["kind"]].trained])
def test_every_parameter_learns(variant):
    head = make(**VARIANTS[variant]).train()
    head.loss(head(maps(6), maps(3, seed=1)), torch.tensor([0, 1, 2, 0, 1, 2])).backward()
    dead = [name for name, values in head.named_parameters() if values.grad is None or not values.grad.any()]
    # A norm undoes the bias before it.
    assert {name.rpartition("encoder.")[2] for name in dead} <= {"conv1.bias", "conv2.bias", "hidden.bias"}


@pytest.mark.parametrize(
    ("temperature", "label", "expected"),
    [
        (0.1, 0, math.log(1 + math.e**2)),  # cosines 0.6 and 0.8: logits 6 and 8
        (0.1, 1, math.log(1 + math.e**-2)),
        (0.2, 0, math.log(1 + math.e)),
        (1.0, 1, math.log(1 + math.e**-0.2)),
    ],
)
def test_infonce_by_hand(temperature, label, expected):
    head = make(temperature=temperature, centre=0.0)
    queries, support = torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    logits = head.relate(queries, support)
    torch.testing.assert_close(logits, torch.tensor([[0.6, 0.8]]) / temperature)
    assert head.loss(logits, torch.tensor([label])).item() == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_the_mean_over_the_queries():
    head = make(temperature=0.5, centre=0.0)
    queries = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    logits = head.relate(queries, torch.eye(2))  # [[2, 0], [1.2, 1.6]]
    by_hand = (math.log(1 + math.e**-2) + math.log(1 + math.e**0.4)) / 2
    assert head.loss(logits, torch.tensor([0, 0])).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("variant", ON_VECTORS)
def test_of_views_neither_the_order_nor_the_number_matters(variant):
    """The same views in another order, and each of them twice."""
    head, support = make(**VARIANTS[variant]).eval(), maps(3, seed=1)
    before = head(maps(4), support)
    for views in (torch.randperm(P, generator=torch.Generator().manual_seed(0)), torch.arange(P).repeat(2)):
        torch.testing.assert_close(head(Represented(maps(4).values[:, views], maps(4).profiles), support), before)


@pytest.mark.parametrize("variant", ON_VECTORS)
def test_a_profile_bites(variant):
    head, support = make(**VARIANTS[variant]).eval(), maps(3, seed=1)
    other = Represented(maps(4).values, maps(4).profiles.flip(1))
    assert not torch.allclose(head(other, support), head(maps(4), support), atol=1e-4)


def test_views_are_averaged_on_the_sphere_by_hand():
    batch = Represented(
        torch.tensor([[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [0.6, 0.8]]]), torch.tensor([[2.0], [3.0]])
    )
    torch.testing.assert_close(on_sphere(batch), torch.tensor([[0.5**0.5, 0.5**0.5, 2.0], [0.6, 0.8, 3.0]]))


@pytest.mark.parametrize("kind", [kind for kind, settings in HEADS.items() if "centre" in settings.model_fields])
def test_what_all_have_in_common_counts_for_nothing_about_the_supports_mean(kind):
    generator = torch.Generator().manual_seed(0)
    queries, support, common = (torch.randn(*size, generator=generator) for size in ((4, 5), (3, 2, 5), (5,)))
    for centre in (1.0, 0.0):
        head = make(kind, centre=centre).eval()
        logits = head.relate(queries, torch.stack([head.represent(one) for one in support]))
        moved = head.relate(queries + common, torch.stack([head.represent(one + common) for one in support]))
        assert torch.allclose(moved, logits, atol=1e-3) == bool(centre)


def test_a_mean_of_unit_vectors_is_brought_back_to_the_sphere():
    head = make(temperature=1.0, centre=0.0)
    logits = head.relate(torch.eye(2), torch.tensor([[0.5, 0.5], [0.3, 0.4]]))  # 45 degrees; 3-4-5
    torch.testing.assert_close(logits, torch.tensor([[0.5**0.5, 0.6], [0.5**0.5, 0.8]]))


def test_prototypical_logits_by_hand():
    head = make("protonet")
    mean = head.represent(torch.tensor([[0.0, 2.0], [4.0, 2.0]]))  # (2, 2)
    logits = head.relate(torch.tensor([[2.0, 5.0], [0.0, 0.0]]), torch.stack([mean, torch.zeros(2)]))
    torch.testing.assert_close(logits, torch.tensor([[-9.0, -29.0], [-8.0, 0.0]]))


def test_attention_by_hand():
    """Cosines 1, 0.8 and 0.6, 0 at a temperature of 0.5: attention in proportion to e^2, e^1.6 and e^1.2, 1."""
    head = make("matchingnet", temperature=0.5, centre=0.0)
    support = torch.tensor([[[1.0, 0.0], [0.8, 0.6]], [[0.6, 0.8], [0.0, 1.0]]])
    attention = head.relate(torch.tensor([[1.0, 0.0]]), support).softmax(1)
    first, second = math.exp(2) + math.exp(1.6), math.exp(1.2) + 1
    torch.testing.assert_close(attention, torch.tensor([[first, second]]) / (first + second))


def test_siamese_logits_by_hand():
    head: Any = make("siamese", embedding=2, pool="flatten")
    head.last.weight.data, head.last.bias.data = torch.tensor([[-1.0, -2.0]]), torch.tensor([3.0])
    support = torch.tensor([[[1.0, 1.0], [3.0, 0.0]]])  # one class of two images, (0, 0) apart by (1, 1) and (3, 0)
    logits = head.relate(torch.zeros(1, 2), support)
    torch.testing.assert_close(logits, torch.tensor([[(3 - 1 - 2 + 3 - 3) / 2]]))


def test_an_untrained_siamese_head_takes_the_nearer_for_the_likelier():
    head: Any = make("siamese", pool="flatten")
    query = torch.rand(1, 1, 32)
    near, far = query + 0.1, query + 0.2
    logits = head.relate(query[0], torch.cat([near, far]))
    assert logits[0, 0] > logits[0, 1]
