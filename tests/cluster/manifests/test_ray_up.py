"""The cluster launcher's files: Ray takes them, and what they say is what our images and command line have."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import ray.autoscaler
from ray.scripts.scripts import start

import fsamc
from tests.cluster.manifests.files import MANIFESTS, documents

SCHEMA = json.loads((Path(ray.autoscaler.__file__).parent / "ray-schema.json").read_text())
FILES = sorted((MANIFESTS / "ray-up").glob("*.yaml"))
AWS, ONPREM = (documents(MANIFESTS / "ray-up" / f"{name}.yaml")[0] for name in ("aws", "onprem"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ray_takes_it(file):
    (launched,) = documents(file)
    jsonschema.validate(launched, SCHEMA)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_ray_starts_with_options_that_it_has(file):
    (launched,) = documents(file)
    known = {option for parameter in start.params for option in parameter.opts}
    commands = launched["head_start_ray_commands"] + launched["worker_start_ray_commands"]
    for command in (command for command in commands if "ray start" in command):
        assert set(re.findall(r"--[a-z-]+", command)) <= known


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_token_is_a_file_that_is_copied(file):
    (launched,) = documents(file)
    assert [target for target in launched["file_mounts"] if target.endswith("/.ray/auth_token")]
    assert "RAY_AUTH_MODE=token" in file.read_text()
    assert "RAY_AUTH_TOKEN=" not in file.read_text()


def test_the_bounds_on_aws():
    head, cpu, gpu = (AWS["available_node_types"][name] for name in ("head", "cpu", "gpu"))
    assert AWS["head_node_type"] == "head"
    assert head["resources"] == {"CPU": 0}
    assert 1 <= cpu["min_workers"] <= cpu["max_workers"] <= AWS["max_workers"]
    assert gpu["min_workers"] == 0
    assert gpu["resources"]["GPU"] == 1


def test_the_images_are_of_this_version():
    images = AWS["docker"]["image"], AWS["available_node_types"]["gpu"]["docker"]["worker_image"]
    assert images == tuple(f"registry.example.com/fsamc:{fsamc.__version__}-{device}" for device in ("cpu", "gpu"))


def test_machines_of_ones_own_are_named_once():
    provider = ONPREM["provider"]
    assert len({provider["head_ip"], *provider["worker_ips"]}) == 1 + len(provider["worker_ips"])
