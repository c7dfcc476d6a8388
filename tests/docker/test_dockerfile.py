"""The Dockerfile: linted, and what it says about versions, users and secrets; `make docker-dry-run` runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import fsamc
from tests.cluster.manifests.files import ROOT, pinned
from tests.docker.steps import DOCKERFILE, Step, read_stages

STAGES = read_stages()
TARGETS = ("cpu", "gpu")


def test_hadolint_has_nothing_to_say_against_it():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(DOCKERFILE)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("target", TARGETS)
def test_it_stands_on_rays_image_of_the_version_that_the_tests_ran_with(target):
    assert STAGES[target].image == f"rayproject/ray:{pinned('ray')}-py311-{target}"
    (labels,) = (step.pairs() for step in STAGES[target].steps if step.name == "LABEL")
    assert labels["org.opencontainers.image.version"] == fsamc.__version__


@pytest.mark.parametrize("target", TARGETS)
def test_everything_is_installed_with_the_constraints(target):
    installs = [step.rest for step in STAGES[target].steps if step.name == "RUN" and "pip install" in step.rest]
    assert installs
    assert all("--constraint constraints.txt" in command for command in installs)
    assert "[sweep,postgresql]" in installs[-1]


@pytest.mark.parametrize("target", TARGETS)
def test_it_stays_rays_user_and_asks_for_a_token(target):
    assert "USER" not in {step.name for step in STAGES[target].steps}, "rayproject/ray's user is ray"
    assert all(step.option("chown") == "ray:users" for step in STAGES[target].steps if step.name == "COPY")
    (environment,) = (step.pairs() for step in STAGES[target].steps if step.name == "ENV")
    assert environment["RAY_AUTH_MODE"] == "token"
    assert "RAY_AUTH_TOKEN" not in environment
    assert [step.words() for step in STAGES[target].steps if step.name == "CMD"] == [["fsamc", "--help"]]


def test_the_targets_differ_in_torch_alone():
    def steps(target: str) -> list[Step]:
        return [step for step in STAGES[target].steps if "TORCH_INDEX" not in step.rest]

    assert steps("cpu") == steps("gpu")
    assert len(STAGES["cpu"].steps) == len(steps("cpu")) + 2


def test_a_build_is_given_what_it_copies_and_no_more():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*", "what is not named stays outside"
    given = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copies = [
        step for stage in STAGES.values() for step in stage.steps if step.name == "COPY" and not step.option("from")
    ]
    assert {word for step in copies for word in step.words()[:-1]} == given
    assert all((ROOT / name).exists() for name in given)


def test_no_secret_is_in_it():
    assert not re.search(r"(PASSWORD|TOKEN|SECRET)\w*=", DOCKERFILE.read_text())
