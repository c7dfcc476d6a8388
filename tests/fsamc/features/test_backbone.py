from __future__ import annotations

import re
import shutil
import threading
import urllib.error
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model

from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features import backbone
from fsamc.features.backbone import load_backbone
from fsamc.features.patches import patch_features_of
from fsamc.features.weights import identity, is_random
from tests.fsamc.layouts import TinyNetwork, export_program

RANDOM = Features(backbone="resnet18", weights="random", size=64)


def images(count: int = 2, size: int = 64) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(0))


def program(file: object, **settings: Any) -> Features:
    return Features(backbone=str(file), size=64, **settings)


class Returning(nn.Module):
    """A network that returns its maps in one way or another."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.form, self.network = form, TinyNetwork()

    def forward(self, pictures: Tensor) -> object:
        maps = self.network(pictures)
        fine, coarse = maps["layer2"], maps["layer3"]
        forms: dict[str, object] = {
            "dict": maps,
            "tuple": (fine, coarse),
            "list": [fine, coarse],
            "three": (fine * 2, fine, coarse),
            "one map": fine,
            "one in a tuple": (fine,),
            "other names": {"a": fine, "b": coarse},
            "vectors": (fine.mean((2, 3)), coarse.mean((2, 3))),
            "a vector beside a map": (fine, coarse.mean((2, 3))),
            "flattened batch": (fine.flatten(0, 1)[:, None], coarse),
            "coarse first": (coarse, fine),
            "numbers": (7, 8),
        }
        return forms[self.form]


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> Callable[[str], str]:
    """Path of a program that returns its maps in a form, exported at its first use."""

    @cache
    def exported(form: str) -> str:
        return export_program(Returning(form), tmp_path_factory.mktemp("exported") / "program.pt2")

    return exported


@pytest.mark.parametrize(
    ("form", "layers"),
    [
        ("dict", ("layer2", "layer3")),
        ("tuple", ("layer2", "layer3")),
        ("tuple", ("fine", "coarse")),
        ("list", ("layer2", "layer3")),
        ("three", ("1", "2")),
        ("other names", ("a", "b")),
    ],
)
def test_a_program_gives_the_maps_of_the_network_it_was_made_from(exported, form, layers):
    backbone = load_backbone(program(exported(form), layers=layers), "cpu")
    expected = TinyNetwork()(images(3))
    found = backbone(images(3))
    assert backbone.patches == 64
    assert [tuple(one.shape) for one in found] == [(3, 12, 8, 8), (3, 16, 4, 4)]
    for one, name in zip(found, ("layer2", "layer3"), strict=True):
        torch.testing.assert_close(one, expected[name])
        assert one.dtype == torch.float32


def test_a_single_layer_may_be_asked_for(exported):
    backbone = load_backbone(program(exported("dict"), layers=("layer3",)), "cpu")
    assert [tuple(one.shape) for one in backbone(images())] == [(2, 16, 4, 4)]
    assert backbone.patches == 16


@pytest.mark.parametrize(
    ("form", "layers", "problem"),
    [
        ("one map", ("layer2", "layer3"), "returns 0, but features.layers asks for layer2, layer3"),
        ("one in a tuple", ("layer2", "layer3"), "returns 0, but features.layers asks for layer2, layer3"),
        ("three", ("layer2", "layer3"), "returns 0, 1, 2, but features.layers asks for layer2, layer3"),
        ("three", ("2", "3"), "asks for 3"),
        ("other names", ("layer2", "b"), "returns a, b, but features.layers asks for layer2"),
        ("vectors", ("layer2", "layer3"), r"are \[\(2, 12\), \(2, 16\)\], expected maps \[B, C, H, W\]"),
        ("a vector beside a map", ("layer2", "layer3"), r"expected maps \[B, C, H, W\]"),
        ("flattened batch", ("layer2", "layer3"), r"expected maps \[B, C, H, W\]"),
        ("coarse first", ("layer2", "layer3"), "the first must be the finest"),
        ("dict", ("layer3", "layer2"), "the first must be the finest"),
        ("numbers", ("layer2", "layer3"), "cannot take"),
    ],
)
def test_wrong_outputs_are_told_in_one_line(exported, form, layers, problem):
    with pytest.raises(BadInput, match=problem) as told:
        load_backbone(program(exported(form), layers=layers), "cpu")
    assert "\n" not in str(told.value)
    assert "program.pt2" in str(told.value) or "features.layers" in str(told.value)


@pytest.mark.parametrize(
    ("fixed", "settings"), [(64, {"size": 96}), (64, {"size": 64}), (32, {"size": 64})], ids=["size", "batch", "both"]
)
def test_images_it_was_not_exported_for_are_told_before_work_starts(tmp_path, fixed, settings):
    file = export_program(TinyNetwork(), tmp_path / "fixed.pt2", size=fixed, fixed=True)
    side = settings["size"]
    with pytest.raises(BadInput, match=rf"fixed\.pt2: cannot take 1 to 8 images of {side} x {side} .*features\.size"):
        load_backbone(Features(backbone=file, **settings), "cpu")


def test_a_file_that_is_no_program(tmp_path):
    (tmp_path / "text.pt2").write_text("not a program")
    with pytest.raises(BadInput, match=r"text\.pt2: not a torch\.export program \(.*\); export it again") as told:
        load_backbone(program(tmp_path / "text.pt2"), "cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("settings", [{"backbone": "gone.pt2"}, {"backbone": "resnet18", "weights": "gone.pth"}])
def test_a_file_that_is_not_there(settings):
    with pytest.raises(BadInput, match=r"^gone\.pt.*: no such file; give the path of"):
        load_backbone(Features(**settings), "cpu")


def test_a_file_that_changes_is_another_network(tmp_path):
    file = tmp_path / "program.pt2"
    shutil.copy(export_program(TinyNetwork(1), tmp_path / "first.pt2"), file)
    before = identity(program(file)), load_backbone(program(file), "cpu")(images())
    shutil.copy(export_program(TinyNetwork(2), tmp_path / "second.pt2"), file)
    after = identity(program(file)), load_backbone(program(file), "cpu")(images())
    assert before[0] != after[0]
    torch.testing.assert_close(before[1][0], TinyNetwork(1)(images())["layer2"])
    torch.testing.assert_close(after[1][0], TinyNetwork(2)(images())["layer2"])


def test_identity_is_the_content_and_not_the_name(tmp_path):
    first, other = (export_program(TinyNetwork(seed), tmp_path / f"{seed}.pt2") for seed in (1, 2))
    copied = shutil.copy(first, tmp_path / "copy.pt2")
    assert identity(program(first)) == identity(program(copied)) != identity(program(other))
    assert identity(program(first)) == identity(program(first, precision="bf16", fit="letterbox"))


def test_identity_of_named_networks(tmp_path):
    for name in ("one", "other"):
        torch.save({name: torch.ones(1)}, tmp_path / f"{name}.pth")
    shutil.copy(tmp_path / "one.pth", tmp_path / "copy.pth")
    files = [
        identity(Features(backbone="resnet18", weights=str(tmp_path / f"{name}.pth")))
        for name in ("one", "copy", "other")
    ]
    assert files[0] == files[1] != files[2]
    named = [identity(Features(backbone=b, weights=w)) for b in ("resnet18", "resnet50") for w in (None, "random")]
    assert len({*files, *named}) == 6


def test_random_is_a_named_network_without_weights():
    assert is_random(RANDOM)
    assert not is_random(Features(backbone="resnet18"))
    with pytest.raises(ValueError, match=r"`weights` \(random\) is for a named backbone; program\.pt2 holds its own"):
        Features(backbone="program.pt2", weights="random")


def randomised() -> nn.Module:
    """A resnet18 whose every weight and statistic matters."""
    network, generator = get_model("resnet18", weights=None), torch.Generator().manual_seed(3)
    for name, values in network.state_dict().items():
        if values.dtype == torch.float32:
            low, high = (0.5, 1.5) if name.endswith(("var", "weight")) and values.ndim == 1 else (-0.05, 0.05)
            values.uniform_(low, high, generator=generator)
    return network.eval()


def layers_by_hand(network: Any, pictures: Tensor) -> list[Tensor]:
    with torch.no_grad():
        stem = network.maxpool(network.relu(network.bn1(network.conv1(pictures))))
        layer2 = network.layer2(network.layer1(stem))
        return [layer2, network.layer3(layer2)]


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_named_resnet_with_weights_from_a_file(tmp_path, suffix):
    network, file = randomised(), tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(network.state_dict(), file)
    else:
        save_file(network.state_dict(), file)
    backbone = load_backbone(Features(backbone="resnet18", weights=str(file), size=64), "cpu")
    for found, expected in zip(backbone(images()), layers_by_hand(network, images()), strict=True):
        torch.testing.assert_close(found, expected)
    assert backbone.patches == 64


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"not weights", "not a state dict"),
        (b"", "not a state dict"),
        ({"conv1.weight": torch.zeros(64, 3, 7, 7)}, "not the weights of a resnet18 .*Missing key"),
        ([torch.zeros(3)], "not a state dict"),
        (torch.zeros(3), "not a state dict"),
        ({1: 2}, "not a state dict"),
        ({"conv1.weight": 2}, "not the weights of a resnet18"),
        (nn.Linear(2, 2), "holds more than tensors, .*state_dict"),
    ],
)
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_weights_that_do_not_fit_are_told_in_one_line(tmp_path, content, problem, suffix):
    file = tmp_path / f"weights.{suffix}"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif suffix == "safetensors" and isinstance(content, dict) and all(map(torch.is_tensor, content.values())):
        save_file(content, file)
    else:
        torch.save(content, file)
        problem = problem if suffix == "pth" else "not a state dict"
    with pytest.raises(BadInput, match=rf"weights\.{suffix}: {problem}") as told:
        load_backbone(Features(backbone="resnet18", weights=str(file), size=64), "cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["resnet", "auto", "vgg16", "resnet50.pt"])
def test_an_unknown_network(name):
    expected = "expected a .pt2 file, timm/NAME, efficientnet_lite2, or one of resnet18, "
    with pytest.raises(BadInput, match=f"^backbone '{re.escape(name)}': {expected}"):
        load_backbone(Features(backbone=name, weights="random"), "cpu")


@pytest.mark.parametrize(
    ("layers", "problem"),
    [
        (("layer2", "layer9"), "not layers of resnet18"),
        (("layer3", "layer2"), "the first must be the finest"),
        (("layer2", "avgpool", "flatten"), r"expected maps \[B, C, H, W\]"),
    ],
)
def test_layers_that_a_resnet_does_not_have(layers, problem):
    with pytest.raises(BadInput, match=problem):
        load_backbone(RANDOM.model_copy(update={"layers": layers}), "cpu")


def test_layers_come_in_the_order_asked_for():
    backbone = load_backbone(RANDOM.model_copy(update={"layers": ("layer1", "layer2", "layer4")}), "cpu")
    assert [one.shape[1] for one in backbone(images())] == [64, 128, 512]
    assert backbone.patches == 256


@pytest.mark.parametrize("name", ["resnet18", "resnet152"])
def test_random_weights_keep_features_in_the_range_of_float16(name):
    maps = load_backbone(Features(backbone=name, weights="random", size=64), "cpu")(images())
    half = patch_features_of(maps, 64).half()
    assert half.isfinite().all()
    assert 0.01 < half.float().std() < 100
    apart = (half[0].float() - half[1].float()).norm() / half.float().norm()
    assert apart > 0.01, "two pictures look alike"


def test_bf16_is_close_to_fp32_and_not_the_same(exported):
    for features in (RANDOM, program(exported("dict"))):
        precise, low = (
            load_backbone(features.model_copy(update={"precision": precision}), "cpu")(images())
            for precision in ("fp32", "bf16")
        )
        for one, other in zip(precise, low, strict=True):
            assert other.dtype == torch.float32
            assert 1e-5 < (one - other).norm() / one.norm() < 0.03


@pytest.fixture
def no_weights(tmp_path, monkeypatch) -> Path:
    """An empty TORCH_HOME, no network and none loaded before: the folder in which torchvision looks for weights."""
    backbone._loaded.cache_clear()

    def unreachable(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("name resolution failed")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", unreachable)
    return tmp_path / "hub" / "checkpoints"


def test_missing_imagenet_weights_say_which_file_goes_where(no_weights):
    with pytest.raises(BadInput) as told:
        load_backbone(Features(backbone="resnet18", size=64), "cpu")
    line = str(told.value)
    assert line.startswith("the ImageNet weights of resnet18 are neither cached nor reachable (")
    assert f"place resnet18-f37072fd.pth in {no_weights}" in line
    assert "--weights FILE" in line
    assert "\n" not in line


def test_a_server_that_sends_a_byte_now_and_then_has_a_deadline(no_weights, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr("torch.hub.urlopen", lambda *_, **__: over.wait(60))
    monkeypatch.setattr("fsamc.features.networks.torchvision_resnet.why_unreachable", lambda url: None)
    monkeypatch.setattr("fsamc.deadline.DOWNLOAD", 0.2)
    with pytest.raises(BadInput, match=r"neither cached nor reachable \(.*no whole answer within 0.2 seconds"):
        load_backbone(Features(backbone="resnet18", size=64), "cpu")
    over.set()


@pytest.mark.parametrize("content", [b"", b"torn", b"PK\x03\x04torn"])
def test_a_torn_file_in_the_cache_is_told_the_same_way(no_weights, content):
    no_weights.mkdir(parents=True)
    (no_weights / "resnet18-f37072fd.pth").write_bytes(content)
    with pytest.raises(BadInput, match=r"place resnet18-f37072fd\.pth in"):
        load_backbone(Features(backbone="resnet18", size=64), "cpu")


def test_placed_imagenet_weights_are_used_without_the_network(no_weights):
    no_weights.mkdir(parents=True)
    network = randomised()
    torch.save(network.state_dict(), no_weights / "resnet18-f37072fd.pth")
    found = load_backbone(Features(backbone="resnet18", size=64), "cpu")(images())
    torch.testing.assert_close(found, layers_by_hand(network, images()))


@pytest.mark.real
def test_the_shared_program_takes_any_number_of_images_of_224(shared):
    features = Features(backbone=str(shared / "backbones" / "resnet50v2-imagenet.pt2"))
    backbone = load_backbone(features, "cpu")
    together, alone = backbone(images(3, 224)), backbone(images(3, 224)[1:2])
    assert [tuple(one.shape) for one in together] == [(3, 512, 28, 28), (3, 1024, 14, 14)]
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one[1:2], other, rtol=1e-4, atol=1e-4)
