"""The compose file: valid by the specification's schema, and sound where no schema looks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow.server.security_utils import is_allowed_host_header
from ray.scripts.scripts import start

import fsamc
from tests.cluster.manifests.files import ROOT, check_command, commands_in, documents, size

FOLDER = ROOT / "docker"
FILE = FOLDER / "compose.yaml"
(COMPOSE,) = documents(FILE)
SERVICES: dict[str, Any] = COMPOSE["services"]
RAY = ("head", "worker", "gpu-worker")
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::[-?]([^}]*))?\}")


def filled(text: object) -> str:
    """With the default of each variable."""
    return VARIABLE.sub(lambda found: found[2] or "", str(text))


def mounts(service: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Source, target, and whether it may only be read."""
    found = [re.fullmatch(r"(\$\{\w+.*?\}|[^:]+):([^:]+)(:ro)?", volume) for volume in service.get("volumes", [])]
    return [(volume[1], volume[2], volume[3] is not None) for volume in found]


def test_it_is_valid():
    checker = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, str(FILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_images_have_this_version_and_are_those_that_are_built():
    for service in SERVICES.values():
        if "build" in service:
            assert service["image"] == f"fsamc:{fsamc.__version__}-{service['build']['target']}"
            assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
    assert [name for name, service in SERVICES.items() if "build" not in service] == ["postgres"]


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_open_to_this_machine_only(name):
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:")
    assert "ports" not in SERVICES["postgres"]
    assert "network_mode" not in SERVICES[name]


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_gains_privileges(name):
    assert "no-new-privileges:true" in SERVICES[name]["security_opt"]
    assert name == "postgres" or SERVICES[name]["cap_drop"] == ["ALL"]
    assert not {"privileged", "user", "pid", "ipc"} & SERVICES[name].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_what_it_waits_for_says_whether_it_is_healthy(name):
    assert SERVICES[name]["healthcheck"]["test"]
    for other, wanted in SERVICES[name].get("depends_on", {}).items():
        assert wanted == {"condition": "service_healthy"}
        assert "healthcheck" in SERVICES[other]


def test_secrets_are_files_that_git_does_not_take():
    for name, service in SERVICES.items():
        assert set(service["secrets"]) <= COMPOSE["secrets"].keys(), name
        for key, value in service.get("environment", {}).items():
            assert not re.search(r"://[^/@]*:[^/@]*@", value)
            assert not re.search("PASSWORD|TOKEN|SECRET", key) or value.startswith("/run/secrets/")
            used = re.fullmatch(r"/run/secrets/(.*)", value)
            assert used is None or used[1] in service["secrets"]
    for secret in COMPOSE["secrets"].values():
        ignored = subprocess.run(["git", "check-ignore", "--quiet", str(FOLDER / secret["file"])], cwd=ROOT)
        assert ignored.returncode in (0, 128), "128: no git here"
    assert "secrets" not in (ROOT / ".dockerignore").read_text(), "docker/ as a whole stays out of the build"


@pytest.mark.parametrize("name", RAY)
def test_every_node_has_the_token_the_volumes_and_room_for_the_object_store(name):
    service = SERVICES[name]
    assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
    assert mounts(service) == mounts(SERVICES["head"]), "the same paths on all nodes"
    (store,) = re.findall(r"--object-store-memory (\d+)", service["command"])
    assert int(store) < size(service["shm_size"])
    if "deploy" in service:
        assert size(service["shm_size"]) <= size(filled(service["deploy"]["resources"]["limits"]["memory"])) / 2
    options = set(re.findall(r"--[a-z-]+", service["command"]))
    assert options <= {option for parameter in start.params for option in parameter.opts}


def test_data_is_read_and_results_are_kept():
    for source, target, readonly in mounts(SERVICES["head"]):
        assert readonly == source.startswith("${"), target
        assert readonly or source in COMPOSE["volumes"]
    used = {source for service in SERVICES.values() for source, _, readonly in mounts(service) if not readonly}
    assert used == COMPOSE["volumes"].keys()


@pytest.mark.filterwarnings("ignore:.*Any type hint:UserWarning")  # MLflow on its own types
def test_mlflow_lets_in_those_who_know_it_by_name():
    command = SERVICES["mlflow"]["command"][-1]
    allowed = re.search(r"--allowed-hosts '(.*)'", command)[1].split(",")
    assert all(is_allowed_host_header(allowed, host) for host in ("mlflow:5000", "localhost:5999", "127.0.0.1:5000"))
    assert not is_allowed_host_header(allowed, "example.com:5000")
    from mlflow.cli import server

    assert set(re.findall(r"--[a-z-]+", command)) <= {option for given in server.params for option in given.opts}


def test_gpus_are_asked_for_in_their_profile_only():
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["gpu-worker"]
    (device,) = SERVICES["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
    assert "--num-gpus 1" in SERVICES["gpu-worker"]["command"]
    assert "reservations" not in SERVICES["worker"]["deploy"]["resources"]


def test_the_example_names_every_variable_with_its_default():
    lines = [line for line in (FOLDER / ".env.example").read_text().splitlines() if line and line[0] != "#"]
    example = dict(line.split("=", 1) for line in lines)
    used = dict(VARIABLE.findall(FILE.read_text()))
    assert example.keys() == used.keys()
    for name, default in used.items():
        assert name in ("DATA", "TEXTURES") or example[name] == default


def test_the_page_about_docker_says_commands_that_run():
    (command,) = commands_in((FOLDER / "README.md").read_text(encoding="utf-8"))
    given = check_command(command)
    targets = [target for _, target, _ in mounts(SERVICES["head"])]
    for option in ("data", "textures", "cache", "out"):
        assert any(os.path.commonpath([str(given[option]), target]) == target for target in targets)
    assert given["tracking_uri"] == "http://mlflow:5000"
