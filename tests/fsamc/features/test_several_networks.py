"""Several backbones as one: maps by hand, the first one's grid, keys of one alone, and lists that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fsamc.artifacts.feature_set import FeatureSet
from fsamc.config.compute import Compute
from fsamc.config.dotted import validated
from fsamc.config.features import Features
from fsamc.data.images import to_tensor
from fsamc.errors import BadInput
from fsamc.features.backbone import load_backbone
from fsamc.features.extraction import square_features
from fsamc.features.networks.efficientnet_lite import EFFICIENTNET_LITE
from fsamc.features.networks.lookup import network_source
from fsamc.features.patches import patch_features_of
from fsamc.features.weights import identity, is_random, origin
from fsamc.seeds import numpy_generator
from tests.fsamc.layouts import TinyNetwork, export_program

PICTURES = numpy_generator("several").integers(0, 256, (3, 64, 64, 3)).astype("uint8")


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("programs")
    return [export_program(TinyNetwork(seed), folder / f"{seed}.pt2") for seed in range(2)]


def named(backbone: Any, **settings: Any) -> Features:
    return validated(Features, {"backbone": backbone, "size": 64, **settings})


def root_mean_square(maps: list[Tensor]) -> Tensor:
    return torch.stack([one.square().mean((1, 2, 3)) for one in maps]).mean(0).sqrt()


def test_maps_stand_side_by_side_each_backbones_of_mean_square_one(programs):
    maps = load_backbone(named(programs), "cpu").of_squares(PICTURES)
    alone = [load_backbone(named(file), "cpu").of_squares(PICTURES) for file in programs]
    by_hand = [one / root_mean_square(two)[:, None, None, None] for two in alone for one in two]
    assert [one.shape for one in maps] == [one.shape for one in by_hand]
    assert all(torch.allclose(one, other, rtol=1e-4, atol=1e-6) for one, other in zip(maps, by_hand, strict=True))


def test_with_twice_the_channels_each_of_two_backbones_has_those_that_it_has_alone(programs):
    """Where bins of channels are whole: of 12 and of 16 channels with nine numbers each, 36 and 18 make such."""
    found = torch.from_numpy(square_features(PICTURES, named(programs, dim=36), "cpu")).float()
    for place, file in enumerate(programs):
        maps = load_backbone(named(file), "cpu").of_squares(PICTURES)
        own = patch_features_of(maps, 18) / root_mean_square(maps)[:, None, None]
        assert torch.allclose(found[..., 18 * place : 18 * (place + 1)], own, rtol=2e-3, atol=1e-3)


def test_each_network_sees_the_image_normalised_as_its_weights_want_it(programs):
    """EfficientNet-Lite's mean and deviation are others than a program's."""
    several = load_backbone(named([programs[0], EFFICIENTNET_LITE], weights=[None, "random"]), "cpu")
    alone = named(EFFICIENTNET_LITE, weights="random")
    own = load_backbone(alone, "cpu")(to_tensor(PICTURES, network_source(alone).preprocessing))
    by_hand = [one / root_mean_square(own)[:, None, None, None] for one in own]
    for one, other in zip(several.of_squares(PICTURES)[2:], by_hand, strict=True):
        assert torch.allclose(one, other, rtol=1e-3, atol=1e-4)


def test_layers_are_of_all_or_of_each(programs):
    every = load_backbone(named(programs, layers=["layer3"]), "cpu").of_squares(PICTURES)
    assert [one.shape[1] for one in every] == [16, 16]
    of_each = load_backbone(named(programs, layers=[["layer2"], ["layer3", "layer2"]]), "cpu").of_squares(PICTURES)
    assert [one.shape[1] for one in of_each] == [12, 16, 12]


def test_a_list_of_one_is_that_one(programs, tiny_category):
    one, same = (
        FeatureSet(category=tiny_category, pictures=(), features=named(name), compute=Compute())
        for name in (programs[0], programs[:1])
    )
    assert one.key == same.key
    assert identity(named(programs)) != identity(named(programs[::-1])) != identity(named(programs[0]))


def test_of_each_it_is_told_what_it_is(programs):
    features = named(["resnet18", programs[0]], weights=["random", None])
    assert origin(features) == f"resnet18: random; {programs[0]}: an exported program, with the licence of its weights"
    assert is_random(features)
    assert not is_random(named(programs))


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"backbone": ["resnet18", "resnet18"]}, r"`backbone` names one twice \(resnet18 \+ resnet18\)"),
        ({"backbone": []}, "backbone"),
        ({"backbone": ["resnet18", "resnet50"], "weights": "a.pth"}, r"`weights` \(a\.pth\) are those of one backbone"),
        ({"backbone": ["resnet18", "resnet50"], "weights": ["random"]}, "`weights` is a list of 1, `backbone` of 2"),
        ({"backbone": ["resnet18", "resnet50"], "layers": [["layer2"]] * 3}, "`layers` is a list of 3"),
        ({"backbone": ["resnet18", "a.pt2"], "weights": "random"}, r"a\.pt2 holds its own"),
    ],
)
def test_lists_that_do_not_fit_are_one_line(settings, problem):
    with pytest.raises(BadInput, match=problem) as told:
        named(**settings)
    assert "\n" not in str(told.value)


def test_the_finest_grid_comes_first(programs):
    with pytest.raises(BadInput, match="name the backbone with the finest maps first"):
        load_backbone(named(programs, layers=[["layer3"], ["layer2"]]), "cpu")


def test_a_size_that_one_of_them_does_not_take_is_told(programs, tmp_path):
    fixed = export_program(TinyNetwork(2), tmp_path / "fixed.pt2", size=32, fixed=True)
    with pytest.raises(BadInput, match=r"fixed\.pt2: cannot take 1 to 8 images of 64 x 64"):
        load_backbone(named([programs[0], fixed]), "cpu")
    with pytest.raises(BadInput, match=r"gone\.pt2: no such file"):
        load_backbone(named([programs[0], str(Path("gone.pt2"))]), "cpu")
