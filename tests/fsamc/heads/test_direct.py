from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torchvision.models import get_model

from fsamc.config.dotted import updated
from fsamc.data.images import to_tensor
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.run import run_fold
from fsamc.heads.direct import DirectClassifier
from fsamc.heads.head_kinds import DirectSettings
from fsamc.seeds import numpy_generator
from fsamc.store.store import Store

RESNET = {"features.backbone": "resnet18", "features.weights": "random", "features.size": 32, "head.kind": "direct"}


def config(**direct: Any) -> FoldConfig:
    return updated(FoldConfig(), {**RESNET, **{f"head.{key}": value for key, value in direct.items()}})


def classifier_of(config: FoldConfig, *, n_classes: int, seed: int) -> DirectClassifier:
    generator = torch.Generator().manual_seed(seed)
    device = config.compute.device
    assert isinstance(config.head, DirectSettings)
    return DirectClassifier(config.head, config.features, device=device, n_classes=n_classes, generator=generator)


def classifier(*, seed: int = 0, **direct: Any) -> DirectClassifier:
    return classifier_of(config(**direct), n_classes=2, seed=seed)


def squares(count: int, seed: int = 0) -> list[np.ndarray]:
    """Stripes that lie, and stripes that stand, uint8 [count, 32, 32, 3] each, in noise of their own."""
    lying = (np.arange(32) // 4 % 2 * 80)[:, None, None]
    noise = numpy_generator("test direct", seed).normal(90, 20, (2, count, 32, 32, 3))
    return [
        (noise[0] + lying).clip(0, 255).astype(np.uint8),
        (noise[1] + lying.swapaxes(0, 1)).clip(0, 255).astype(np.uint8),
    ]


def trained(*, seed: int = 0, order: int = 0, **direct: Any) -> DirectClassifier:
    made = classifier(seed=seed, **direct)
    made.finetune(squares(3), torch.Generator().manual_seed(order))
    return made


def state(made: DirectClassifier) -> dict[str, torch.Tensor]:
    return made.body.state_dict() | {f"last.{name}": values for name, values in made.last.state_dict().items()}


def changed(one: DirectClassifier, other: DirectClassifier) -> set[str]:
    return {name for name, values in state(one).items() if not torch.equal(values, state(other)[name])}


@pytest.mark.parametrize(("trainable", "lr", "epochs"), [("all", 1e-3, 5), ("head", 1e-2, 20)])
def test_it_learns_to_tell_two_classes_apart(trainable, lr, epochs):
    made = trained(trainable=trainable, lr=lr, epochs=epochs)
    answers = [made.scores(of_class).argmax(1) for of_class in squares(8, seed=1)]
    assert np.mean(answers[0] == 0) + np.mean(answers[1] == 1) > 1.8, "of 2; on images it never saw"


def test_the_last_layer_changes_or_the_whole_network_but_for_the_statistics_of_batches():
    fresh, head, whole = classifier(), *(trained(trainable=which, epochs=1, lr=1e-3) for which in ("head", "all"))
    assert changed(head, fresh) == {"last.weight", "last.bias"}
    assert changed(whole, fresh) == {name for name in state(fresh) if "running" not in name and "tracked" not in name}


def test_features_computed_once_are_those_of_every_pass():
    """The last layer trained through the whole network, in the same order."""
    made, by_hand = trained(trainable="head", epochs=3, lr=1e-2), classifier()
    images, labels = to_tensor(np.concatenate(squares(3))), torch.tensor([0, 0, 0, 1, 1, 1])
    optimiser = torch.optim.Adam(by_hand.last.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for row in torch.randperm(6, generator=generator).tolist():
            optimiser.zero_grad()
            logits = by_hand.last(by_hand.body(images[[row]]))
            torch.nn.functional.cross_entropy(logits, labels[[row]]).backward()
            optimiser.step()
    torch.testing.assert_close(state(made), state(by_hand))


def test_it_is_a_function_of_its_generators():
    settings = {"trainable": "all", "epochs": 1, "lr": 1e-3}
    once, again, other, order = (trained(**one, **settings) for one in ({}, {}, {"seed": 1}, {"order": 1}))
    assert not changed(once, again)
    assert changed(once, other)
    assert changed(once, order)


def test_an_image_is_classified_by_itself():
    made, queries = classifier(), squares(4)[0]
    together = made.scores(queries)
    assert together.shape == (4, 2)
    assert together.dtype == np.float32
    np.testing.assert_allclose(
        together, np.concatenate([made.scores(queries[[i]]) for i in range(4)]), rtol=1e-4, atol=1e-5
    )


def test_the_weights_are_the_files(tmp_path):
    whole = get_model("resnet18", weights=None, num_classes=1000)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    named = updated(config(), {"features.weights": str(tmp_path / "whole.pth")})
    made = classifier_of(named, n_classes=3, seed=0)
    assert made.last.weight.shape == (3, 512)
    assert torch.equal(made.body.conv1.weight, whole.conv1.weight)
    assert not made.body.training


def test_a_program_is_told_before_anything_starts():
    with pytest.raises(BadInput) as told:
        updated(FoldConfig(), {"features.backbone": "maps.pt2", "head.kind": "direct"})
    assert str(told.value) == (
        "`head.kind: direct` fine-tunes a whole network and maps.pt2 ends at feature maps; "
        "name a ResNet, e.g. --backbone resnet50 with --weights FILE"
    )


def test_a_fold_needs_neither_bank_nor_textures(tiny_category, tmp_path):
    small = updated(config(epochs=2, lr=1e-3), {"shots": 2})
    result = run_fold(tiny_category, small, seed=1, store=Store(tmp_path / "cache"))
    assert result.queries == 7  # of nine, two show a part of the support's
    assert result.rounds == 0
    assert [*result.stages] == ["inputs", "finetune", "classify"]
    again = run_fold(tiny_category, small, seed=1, store=Store(tmp_path / "another"))
    assert again.scores == result.scores
    assert not [*(tmp_path / "cache").glob("bank/*")]
