"""Several backbones in a fold and in a classifier, against one program that joins them by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from torch import Tensor, nn

from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.export.export import export_classifier
from fsamc.errors import BadInput
from tests.fsamc.classifier.photos import files
from tests.fsamc.layouts import TinyNetwork, export_program

LAYERS = ["a2", "a3", "b2", "b3"]


class Joined(nn.Module):
    """Maps of two networks, each network's divided by the root of their mean square in the image."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = nn.ModuleDict({"a": TinyNetwork(0), "b": TinyNetwork(1)})

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        found = {}
        for name, network in self.networks.items():
            fine, coarse = network(images).values()
            root = ((fine.square().mean((1, 2, 3)) + coarse.square().mean((1, 2, 3))) / 2).sqrt()[:, None, None, None]
            found |= {f"{name}2": fine / root, f"{name}3": coarse / root}
        return found


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> dict[str, list[str]]:
    folder = tmp_path_factory.mktemp("both")
    return {"features.backbone": [export_program(TinyNetwork(seed), folder / f"{seed}.pt2") for seed in range(2)]}


@pytest.fixture(scope="module")
def joined(tmp_path_factory) -> dict[str, object]:
    file = export_program(Joined(), tmp_path_factory.mktemp("joined") / "joined.pt2")
    return {"features.backbone": file, "features.layers": LAYERS}


@pytest.mark.parametrize("changes", [{"head.kind": "prototype", "views.support": "flips"}, {}], ids=str)
def test_a_fold_is_that_of_the_joined_network(run, both, joined, changes):
    found, by_hand = (run({**changes, **backbone}) for backbone in (both, joined))
    assert found.predicted == by_hand.predicted
    assert np.allclose(found.scores, by_hand.scores, atol=1e-3)
    assert not np.allclose(found.scores, run(changes).scores, atol=1e-2)


def test_a_classifier_is_that_of_the_joined_network_wherever_its_networks_lie(
    make, both, joined, tiny_category, tmp_path
):
    pictures = files(tiny_category, tiny_category.defects)
    made, by_hand = make(both), make(joined)

    def scores(classifier: DefectClassifier) -> list[float]:
        return [score for one in classifier.predict(pictures) for score in one.scores.values()]

    expected = scores(made)
    assert expected == pytest.approx(scores(by_hand), abs=1e-3)
    made.save(tmp_path / "packed.fsamc", with_backbone=True)
    made.save(tmp_path / "bare.fsamc")
    first, second = (Path(file) for file in both["features.backbone"])
    other = export_program(TinyNetwork(2), tmp_path / "other.pt2")
    moved = second.rename(tmp_path / "elsewhere.pt2")
    try:
        with pytest.raises(BadInput, match=r"needs the backbone 1\.pt2"):
            DefectClassifier.load(tmp_path / "bare.fsamc", cache=tmp_path / "empty")
        with pytest.raises(BadInput, match=r"is another backbone than 0\.pt2 .* or 1\.pt2"):
            DefectClassifier.load(tmp_path / "bare.fsamc", backbone=other, cache=tmp_path / "empty")
        found = DefectClassifier.load(tmp_path / "bare.fsamc", backbone=str(moved), cache=tmp_path / "empty")
        assert found.config.features.backbone == (str(first), str(moved))
        assert scores(found) == pytest.approx(expected, abs=1e-6)
        unpacked = DefectClassifier.load(tmp_path / "packed.fsamc", cache=tmp_path / "cache")
        assert scores(unpacked) == pytest.approx(expected, abs=1e-6)
    finally:
        moved.rename(second)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_it_is_exported(make, both, tiny_category, tmp_path, suffix):
    agreement = export_classifier(make(both), tmp_path / f"tiles{suffix}", tiny_category.folder)
    assert agreement.apart <= 1e-4
