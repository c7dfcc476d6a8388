"""Ray's private names: all in one module, and all in the installed Ray."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path
from pkgutil import resolve_name

import pytest
import ray
from ray.job_submission import JobSubmissionClient
from ray.tune.execution.tune_controller import TuneController

from cluster import PACKAGES, ray_private

ROOT = Path(__file__).resolve().parents[2]
OURS = Path(ray_private.__file__)
PRIVATE = re.compile(r"\bray\.(_|rpc\.|dashboard\.)|_raylet\b")
IMPORTED = [
    f"{node.module}.{name.name}"
    for node in ast.walk(ast.parse(OURS.read_text()))
    if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ray.")
    for name in node.names
]
ATTRIBUTES = [
    "ray._private.ray_constants.DASHBOARD_CLIENT_MAX_SIZE",
    "ray._private.ray_constants.ENABLE_RAY_CLUSTER",
    "ray._private.ray_constants.GLOBAL_GRPC_OPTIONS",
    "ray._private.runtime_env.packaging.GCS_STORAGE_MAX_SIZE",
    "ray._private.services.canonicalize_bootstrap_address",
    "ray._private.worker.get_dashboard_url",
    "ray._raylet.AuthenticationTokenLoader.instance",
    "ray._raylet.AuthenticationTokenLoader.reset_cache",
    "ray._raylet.Config.initialize",
    "ray.job_submission.JobSubmissionClient._do_request",
    "ray.tune.execution.tune_controller.TuneController._maybe_reuse_cached_actor",
    "ray.tune.utils.object_cache._ObjectCache.cache_object",
    "ray.tune.utils.object_cache._ObjectCache.increase_max",
]


@pytest.mark.parametrize("name", [*IMPORTED, *ATTRIBUTES])
def test_the_installed_ray_has_the_name(name):
    try:
        resolve_name(name)
    except (ImportError, AttributeError):
        pytest.fail(f"Ray {ray.__version__} has no {name}; find what has taken its place, for cluster/ray_private.py")


def test_every_attribute_that_is_used_is_in_the_table():
    modules = {name.rpartition(".")[2] for name in IMPORTED}
    used = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(ast.parse(OURS.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules
    }
    assert used <= {".".join(name.split(".")[-2:]) for name in ATTRIBUTES}


def test_a_request_of_the_job_client_takes_a_timeout():
    assert "kwargs" in inspect.signature(JobSubmissionClient._do_request).parameters
    assert "self._do_request(" in inspect.getsource(JobSubmissionClient.get_job_info)


def test_no_other_module_uses_a_private_name():
    users = {file for name in PACKAGES for file in (ROOT / name).rglob("*.py") if PRIVATE.search(file.read_text())}
    assert users == {OURS}


def test_the_controller_of_trials_has_what_tells_which_processes_start():
    assert {"_trial_to_actor", "_resetting_trials"} <= set(TuneController.__init__.__code__.co_names)
