from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from fsamc.config.learning import Finetune, Pretrain
from fsamc.heads.base import Head
from fsamc.representation.represented import MapSet, PartsOf, Represented
from fsamc.training import loop as training
from fsamc.training.episodes import pretraining_round
from tests.fsamc import kinds
from tests.fsamc.kinds import HEADS, settings_of

CLASSES, P, D = 4, 16, 12


def problem(per_class: int, *, seed: int = 0, noise: float = 1.0) -> tuple[MapSet, np.ndarray]:
    """Images whose class is one of the last four channels in a quarter of the patches, beside eight of louder noise."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), per_class)
    features = rng.normal(0, 0.2, (len(labels), P, D))
    features[:, :4, :8] += rng.normal(0, noise, (len(labels), 1, 8))
    features[np.arange(len(labels))[:, None], np.arange(4), 8 + labels[:, None]] += 1
    nowhere = np.zeros((len(labels), P), np.int64)
    return MapSet(features.astype(np.float16), np.zeros((1, D)), nowhere, PartsOf(("raw",), None, None, "cpu")), labels


LEARNERS = [kind for kind, settings in HEADS.items() if settings.trained]


def make_head(seed: int = 0, *, kind: str = "contrastive", pool: str = "flatten") -> Head:
    sizes = {"hidden": (32, 16), "relation": (32, 16), "embedding": 32}
    return kinds.make_head(kind, shape=(P, D, 0), seed=seed, pool=pool, **sizes)


def make_still(kind: str = "contrastive") -> Head:
    """A head without the biases that its norms undo: their gradients are rounding errors, which Adam makes steps of."""
    head = make_head(kind=kind)
    for name, values in head.named_parameters():
        undone = name.endswith((".conv1.bias", ".conv2.bias", "hidden.bias")) or name in ("conv1.bias", "conv2.bias")
        values.requires_grad_(not undone)
    return head


def pretrain(head: Head, *, rounds: int = 20, threshold: float = 1.0, seed: int = 0, lr: float = 3e-3) -> list[float]:
    maps, labels = problem(20)
    settings = Pretrain(pseudo_classes=4, stop_threshold=threshold, max_rounds=rounds, queries=32, lr=lr)
    return training.pretrain(head, maps, labels, settings, torch.Generator().manual_seed(seed))


def support_of(shots: int, *, seed: int = 0, noise: float = 1.0) -> list[Represented]:
    maps, labels = problem(shots, seed=seed, noise=noise)
    return [maps.take(np.flatnonzero(labels == label)) for label in range(CLASSES)]


def assert_same_state(one: Head, other: Head, *, exactly: bool = True) -> None:
    tolerance = {"rtol": 0.0, "atol": 0.0} if exactly else {"rtol": 1e-4, "atol": 1e-5}
    for name, values in one.state_dict().items():
        torch.testing.assert_close(values, other.state_dict()[name], **tolerance, msg=lambda m, n=name: f"{n}: {m}")


def states_differ(one: Head, other: Head) -> bool:
    return any(not torch.equal(values, other.state_dict()[name]) for name, values in one.state_dict().items())


@pytest.mark.parametrize("kind", LEARNERS)
def test_gradients_flow_through_the_support_where_the_head_says_so(kind):
    maps, labels = problem(3)
    queries, truth = maps.take([1, 2, 4, 8]), torch.from_numpy(labels[[1, 2, 4, 8]])
    head, support = make_head(kind=kind).train(), maps.take([0, 3, 6, 9])
    support = Represented(support.values.requires_grad_(), support.profiles)
    head.loss(head(queries, support), truth).backward()
    assert (support.values.grad is not None) == head.support_learns == (kind not in ("contrastive", "maml"))


def test_pretraining_is_its_rounds_one_adam_step_each():
    head, by_hand = make_still(), make_still().train()
    accuracies = pretrain(head, rounds=4)
    maps, labels = problem(20)
    generator, optimiser = torch.Generator().manual_seed(0), torch.optim.Adam(by_hand.parameters(), lr=3e-3)
    for accuracy in accuracies:
        drawn = pretraining_round(labels, n_classes=4, n_queries=32, generator=generator)
        anchors = by_hand.encode(maps.take(drawn.support)).detach()
        logits = by_hand.relate(by_hand.encode(maps.take(drawn.queries)), anchors)
        assert accuracy == pytest.approx(np.mean(logits.argmax(1).numpy() == drawn.labels)), "before the round's step"
        optimiser.zero_grad()
        F.cross_entropy(logits, torch.from_numpy(drawn.labels)).backward()
        optimiser.step()
    assert len(accuracies) == 4
    assert_same_state(head, by_hand, exactly=False)


@pytest.mark.parametrize("threshold", [0.0, 0.4, 0.6, 0.8])
def test_pretraining_stops_at_the_first_round_above_the_threshold(threshold):
    head, until_then = make_head(), make_head()
    accuracies = pretrain(head, rounds=100, threshold=threshold)
    assert all(accuracy <= threshold for accuracy in accuracies[:-1])
    assert accuracies[-1] > threshold
    assert len(accuracies) < 100
    assert pretrain(until_then, rounds=len(accuracies)) == accuracies
    assert_same_state(head, until_then)


def test_an_accuracy_equal_to_the_threshold_does_not_stop():
    accuracies = pretrain(make_head(), rounds=100)
    assert accuracies.count(1.0) > 10
    assert len(accuracies) == 100


@pytest.mark.parametrize(("shots", "epochs"), [(1, {2: 45}), (1, {}), (3, {2: 0, 4: 9})])
def test_one_shot_and_no_epochs_leave_the_head_as_it_is(shots, epochs):
    head = make_head()
    training.finetune(head, support_of(shots), Finetune(epochs=epochs))
    assert_same_state(head, make_head())


def test_finetuning_is_algorithm_1_one_adam_step_each():
    head, by_hand, support = make_still(), make_still().train(), support_of(2)[:3]
    training.finetune(head, support, Finetune(epochs={2: 2}, lr=1e-3))
    optimiser = torch.optim.Adam(by_hand.parameters(), lr=1e-3)
    one_epoch = [(0, 0, 1), (0, 1, 0), (1, 0, 1), (1, 1, 0), (2, 0, 1), (2, 1, 0)]
    for label, query, other in one_epoch * 2:
        anchors = torch.cat([maps.values[[other]] for maps in support])
        encoded = by_hand.encode(Represented(anchors, torch.empty(3, 0))).detach()
        logits = by_hand.relate(by_hand.encode(support[label].take([query])), encoded)
        optimiser.zero_grad()
        F.cross_entropy(logits, torch.tensor([label])).backward()
        optimiser.step()
    assert_same_state(head, by_hand, exactly=False)
    assert states_differ(head, make_head())


def test_epochs_are_those_of_the_shots():
    long, short = make_head(), make_head()
    training.finetune(long, support_of(3), Finetune(epochs={2: 5, 3: 1}))
    training.finetune(short, support_of(3), Finetune(epochs={2: 1}))
    assert_same_state(long, short)


def test_finetuning_the_vanilla_head_is_algorithm_2_one_adam_step_each():
    head, by_hand, support = make_still("vanilla"), make_still("vanilla").train(), support_of(3)[:3]
    training.finetune(head, support, Finetune(epochs={2: 2}, lr=1e-3))
    optimiser = torch.optim.Adam(by_hand.parameters(), lr=1e-3)
    anchors = torch.stack([maps.values[0] for maps in support])
    for label, query in [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2)] * 2:
        logits = by_hand.relate(support[label].values[[query]], anchors)
        same = F.one_hot(torch.tensor([label]), 3).float()
        weights = 1 + same  # C - 1 = 2 for the positive
        optimiser.zero_grad()
        F.binary_cross_entropy(torch.sigmoid(logits), same, weights).backward()
        optimiser.step()
    assert_same_state(head, by_hand, exactly=False)
    assert states_differ(head, make_head(kind="vanilla"))


@pytest.mark.parametrize(("kind", "own", "other"), [("vanilla", 2, 1), ("contrastive", 1, 2), ("protonet", 1, 2)])
def test_episodes_are_the_heads_own_unless_named(kind, own, other):
    def trained(episodes: str) -> Head:
        head = make_head(kind=kind)
        training.finetune(head, support_of(3), Finetune.model_validate({"epochs": {2: 1}, "episodes": episodes}))
        return head

    assert_same_state(trained("own"), trained(f"algorithm_{own}"))
    assert states_differ(trained("own"), trained(f"algorithm_{other}"))


@pytest.mark.parametrize(
    ("kind", "metric", "accuracy"),
    [("vanilla", "pairs", 4 / 6), ("vanilla", "episode", 0.5), ("contrastive", "pairs", 0.5)],
)
def test_round_accuracy_by_hand(kind, metric, accuracy):
    logits = torch.tensor([[2.0, -1.0, 3.0], [-3.0, -1.0, -2.0]])
    labels = torch.tensor([0, 1])  # pairs: right, right, wrong; right, wrong, right; only vanilla judges pairs
    settings = Pretrain(stop_metric=metric)
    assert training.round_accuracy(make_head(kind=kind), logits, labels, settings) == pytest.approx(accuracy)


LEARN_ON = [
    (kind, pool)
    for kind in LEARNERS
    for pool in ("flatten", "anomalous")
    if pool == "flatten" or settings_of(HEADS, kind, pool=pool).sees == "vectors"
]
SMALL_GAIN = {"cross_attention": 0.0}  # it learns where to look; what it compares is there from the beginning


@pytest.mark.parametrize(("kind", "pool"), LEARN_ON)
def test_every_head_learns_what_tells_the_classes_apart(kind, pool):
    """On vectors: in four views, each of which shows it."""
    (maps, labels), (fresh, truth) = problem(20, noise=0.5), problem(20, seed=9, noise=0.5)
    head, support = make_head(kind=kind, pool=pool), support_of(2, seed=7, noise=0.5)
    if pool == "anomalous":
        maps, fresh = maps.part(slice(4)), fresh.part(slice(4))
        support = [Represented(one.values[:, :4], one.profiles) for one in support]
    before = accuracy(head, support, fresh, truth)
    lr = 3e-3 if pool == "flatten" else 1e-2
    settings = Pretrain(pseudo_classes=4, stop_threshold=1.0, max_rounds=60, queries=32, lr=lr)
    training.pretrain(head, maps, labels, settings, torch.Generator().manual_seed(0))
    after = accuracy(head, support, fresh, truth)
    assert after > before + SMALL_GAIN.get(kind, 0.1)
    assert after > 0.6, "well above the 0.25 of chance, on images that it never saw"


@pytest.mark.parametrize("kind", LEARNERS)
def test_training_is_a_function_of_head_and_generator(kind):
    one, same, other = (make_head(kind=kind) for _ in range(3))
    for head, seed in ((one, 0), (same, 0), (other, 1)):
        pretrain(head, rounds=3, seed=seed)
        training.finetune(head, support_of(2), Finetune(epochs={2: 1}))
    assert_same_state(one, same)
    assert states_differ(one, other)


@torch.no_grad()
def accuracy(head: Head, support: list[Represented], maps: MapSet, labels: np.ndarray) -> float:
    head.eval()
    anchors = torch.stack([head.represent(head.encode(of_class)) for of_class in support])
    return float(np.mean(head.relate(head.encode(maps.take(range(len(labels)))), anchors).argmax(1).numpy() == labels))
