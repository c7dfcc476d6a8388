"""timm's networks: their maps are timm's own, and what they cannot do is told."""

from __future__ import annotations

import threading
import time
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fsamc.config.features import Features
from fsamc.errors import BadInput
from fsamc.features.backbone import load_backbone
from fsamc.features.networks.lookup import network_source
from fsamc.features.weights import identity, origin
from tests.servers import trickling

timm = pytest.importorskip("timm", reason="needs the extra fsamc[timm]")


def named(name: str, **settings: Any) -> Features:
    return Features(**{"backbone": f"timm/{name}", "weights": "random", **settings})


def images(size: int) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("name", "size", "shapes"),
    [
        ("resnet50", 64, [(512, 8), (1024, 4)]),
        ("convnext_tiny", 64, [(192, 8), (384, 4)]),
        ("vit_small_patch14_dinov2", 56, [(384, 4), (384, 4)]),
    ],
)
def test_a_network_end_to_end(run, name, size, shapes):
    features = named(name, size=size, dim=16)
    maps = load_backbone(features, "cpu")(images(size))
    assert [tuple(one.shape[1:3]) for one in maps] == shapes
    changes = {f"features.{key}": getattr(features, key) for key in ("backbone", "weights", "size")}
    small = {"head": {"kind": "prototype"}, "representation.patches": 3, "pretrain.enabled": False}
    result = run({**changes, **small})
    assert len(result.predicted) == len(result.images)
    assert np.isfinite(result.scores).all()


def test_a_transformers_map_is_its_patches_normalised_and_without_the_class_token(tmp_path):
    network = timm.create_model("test_vit", dynamic_img_size=True).eval()  # of 160 pixels; positions are interpolated
    save_file(network.state_dict(), tmp_path / "vit.safetensors")
    with torch.no_grad():
        tokens = network._pos_embed(network.patch_embed(images(64)))
        for block in network.blocks[: len(network.blocks) // 2]:
            tokens = block(network.norm_pre(tokens) if block is network.blocks[0] else tokens)
        grid = network.norm(tokens)[:, network.num_prefix_tokens :].unflatten(1, (4, 4)).permute(0, 3, 1, 2)
    last = f"blocks.{len(network.blocks) // 2 - 1}"
    for layer in ("layer2", last):
        features = named("test_vit", weights=str(tmp_path / "vit.safetensors"), layers=(layer,), size=64)
        (found,) = load_backbone(features, "cpu")(images(64))
        torch.testing.assert_close(found, grid)


def test_stages_by_timms_names_come_in_the_order_asked_for(tmp_path):
    network = timm.create_model("test_resnet", features_only=True).eval()
    whole = timm.create_model("test_resnet")
    whole.load_state_dict(network.state_dict(), strict=False)
    save_file(whole.state_dict(), tmp_path / "resnet.safetensors")
    features = named("test_resnet", weights=str(tmp_path / "resnet.safetensors"), layers=("layer1", "layer4"), size=64)
    with torch.no_grad():
        expected = [network(images(64))[place] for place in (1, 4)]
    for found, wanted in zip(load_backbone(features, "cpu")(images(64)), expected, strict=True):
        torch.testing.assert_close(found, wanted)
    assert identity(features).startswith("timm/test_resnet:")
    assert origin(features).endswith("resnet.safetensors, with its licence")


def test_random_weights_are_the_same_whatever_was_drawn_before():
    source = network_source(named("test_resnet", size=64))
    before = torch.random.get_rng_state()
    first = source.load("cpu")(images(64))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(1)
    again = source.load("cpu")(images(64))
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))


def test_images_are_prepared_as_timm_says():
    clip = network_source(named("vit_base_patch16_clip_224")).preprocessing
    assert clip.mean == (0.48145466, 0.4578275, 0.40821073)
    assert clip.interpolation == "bicubic"


@pytest.mark.parametrize(
    ("name", "settings", "problem"),
    [
        ("resnet_50", {}, "backbone timm/resnet_50: timm has no such network; .*resnet50"),
        ("vit_tiny_patch16_224", {"size": 72}, "features.size 72: .* patches of 16; give a multiple, such as 80"),
        ("test_resnet", {"layers": ("blocks.1",)}, "timm/test_resnet has no blocks.1; it has act1, layer1, "),
        ("test_resnet", {"weights": "OTHER"}, "other.safetensors: not the weights of a timm/test_resnet"),
        (
            "test_resnet",
            {"weights": None},
            "the weights of timm/test_resnet .* nor reachable",
        ),
    ],
)
def test_what_it_cannot_do_is_told_in_one_line(tmp_path, monkeypatch, name, settings, problem):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    save_file({"one": torch.ones(1)}, tmp_path / "other.safetensors")
    if settings.get("weights") == "OTHER":
        settings = {"weights": str(tmp_path / "other.safetensors")}
    with pytest.raises(BadInput, match=problem) as told:
        load_backbone(named(name, **settings), "cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("patience", [0.3, 10.0], ids=["the first question", "the download"])
def test_a_hub_that_sends_a_byte_now_and_then_is_told_at_the_deadline(tmp_path, monkeypatch, patience):
    monkeypatch.setattr("fsamc.features.networks.torchvision_resnet._PATIENCE", patience)
    monkeypatch.setattr("fsamc.deadline.DOWNLOAD", 0.3)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.AGENT_HARNESSES_PATH", str(tmp_path / "none"), raising=False)
    monkeypatch.setattr("huggingface_hub.utils._http.time", (impatient := Mock(wraps=time)))
    impatient.sleep = lambda seconds: None
    before = set(threading.enumerate())  # a call that another test has left behind is none of ours
    start = b"HTTP/1.1 200 OK\r\n" + (b"X-Slow: " if patience < 1 else b"Content-Length: 1000000\r\n\r\n")
    with trickling(start) as port:
        address = f"http://127.0.0.1:{port}"
        template = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        with pytest.raises(BadInput, match=r"no whole answer within 0\.3 seconds.*give --weights") as told:
            load_backbone(named("resnet18", weights=None), "cpu")
    assert address in str(told.value)
    assert "\n" not in str(told.value)
    for late in set(threading.enumerate()) - before:
        late.join(10)
