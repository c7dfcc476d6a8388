"""Node checks before a sweep on a cluster: each node that cannot do its part is named, a line for each path.

The cluster is real: a head and a raylet in a mount namespace of its own, for which empty disks lie over some folders.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from cluster import runtime
from cluster.nodes import inventory
from cluster.nodes.inventory import Node, NodeReport, alive_nodes, collect_reports, findings
from fsamc.errors import BadInput
from sweeps.checks.resources import join, resolve_resources
from sweeps.cli import quiet_ray
from tests import one_ray
from tests.ray_cluster import RayCluster
from tests.sweeps.checks.test_bad_input import contents
from tests.sweeps.small import Lab, fsamc

pytestmark = pytest.mark.ray
GPU = {"CPU": 4.0, "GPU": 2.0}


def node(**resources: float) -> Node:
    return Node(id="0123456789", name="n", address="10.0.0.7", resources=resources)


@pytest.mark.parametrize(
    ("resources", "cpus", "gpus", "slots"),
    [
        ({"CPU": 5.0}, 2, 0.0, 2),
        ({"CPU": 1.0}, 2, 0.0, 0),
        ({}, 1, 0.0, 0),  # a head that runs nothing
        (GPU, 1, 0.3, 4),  # three fit on each GPU, four on the CPUs
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.3, 6),
        ({"CPU": 8.0, "GPU": 2.0}, 1, 0.6, 2),  # two shares of 0.6 are no GPU
        ({"CPU": 20.0, "GPU": 1.0}, 1, 0.1, 10),
        (GPU, 1, 2.0, 1),
        ({"CPU": 64.0}, 1, 0.5, 0),
    ],
)
def test_how_many_folds_a_node_holds(resources, cpus, gpus, slots):
    assert node(**resources).slots(cpus, gpus) == slots


@pytest.mark.parametrize(
    ("changes", "workers"),
    [
        ([], 8 + 4),
        (["resources.cpus=3"], 2 + 1),  # four by the sum
        (["resources.gpus=0.5"], 4),
        (["resources.gpus=0.6", "resources.cpus=2"], 2),
        (["resources.cpus=9"], "resources.cpus is 9 and resources.gpus 0, but no node holds such a fold"),
        (["resources.cpus=5", "resources.gpus=0.5"], "resources.gpus 0.5, but no node holds such a fold"),
        (["resources.gpus=3"], "resources.gpus is 3, but there are 2 GPUs"),
    ],
)
def test_workers_are_what_the_nodes_hold_one_by_one(lab: Lab, monkeypatch, changes, workers):
    from sweeps.plan.load import load_plan

    monkeypatch.setattr("sweeps.checks.resources.join", lambda address: None)
    monkeypatch.setattr("sweeps.checks.resources.alive_nodes", lambda: [node(CPU=8.0), node(**GPU)])
    plan = load_plan(str(lab.plan()), changes)
    if isinstance(workers, int):
        assert resolve_resources(plan, "HEAD:6379")[1] == workers
    else:
        with pytest.raises(ValueError, match=workers):
            resolve_resources(plan, "HEAD:6379")


def test_whoever_is_in_a_ray_joins_no_other(monkeypatch):
    monkeypatch.setattr("ray.is_initialized", lambda: True)
    with pytest.raises(BadInput, match="in a Ray already"):
        join("HEAD:6379")


@pytest.fixture(scope="module")
def hidden(tmp_path_factory) -> dict[str, Path]:
    """Folders over which the raylet has empty disks, by what they are for."""
    root = tmp_path_factory.mktemp("hidden")
    for name in ("data", "cache", "out"):
        (root / name).mkdir()
    return {path.name: path for path in root.iterdir()}


@pytest.fixture(scope="module")
def cluster(hidden) -> Iterator[RayCluster]:
    """A head without CPUs and a raylet that does not see what is hidden."""
    script = "".join(f"mount -t tmpfs tmpfs {path} && " for path in hidden.values())
    apart = ["unshare", "--mount", "sh", "-c", f'{script} exec "$@"', "apart"]
    tried = subprocess.run([*apart, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"cannot make a mount namespace: {tried.stderr}")
    quiet_ray()
    one_ray.down()
    with RayCluster(cpus=0) as cluster, pytest.MonkeyPatch.context() as patched:
        cluster.add_raylet("apart", cpus=2, through=apart)
        for name, value in cluster.lets_in.items():
            patched.setenv(name, value)
        runtime.start(cluster.gcs, cpus=0, gpus=0)
        end = time.monotonic() + 60
        while len(alive_nodes()) < 2:
            assert time.monotonic() < end
            time.sleep(0.2)
        ray.shutdown()
        yield cluster


@pytest.fixture
def joined(cluster) -> Iterator[None]:
    one_ray.down()
    runtime.start(cluster.gcs, cpus=0, gpus=0)
    yield
    ray.shutdown()


def test_a_sweep_names_each_node_and_path_and_writes_nothing(cluster, lab: Lab, hidden, capfd):
    own = Lab(hidden["data"], lab.textures, lab.backbone, lab.root)
    subprocess.run(["cp", "-r", f"{lab.data}/.", str(hidden["data"])], check=True)
    words = own.words(own.plan(), "--address", cluster.gcs, out=str(hidden["out"]), cache=str(hidden["cache"]))
    before = contents(lab.root)
    assert fsamc(*words) == 2
    output, errors = capfd.readouterr()
    lines = errors.splitlines()
    assert (output, len(lines)) == ("", 4), errors
    for line, path, trouble, mend in zip(
        lines,
        (hidden["data"] / "cap", hidden["data"] / "tile", hidden["cache"], hidden["out"]),
        ["is not there"] * 2 + ["is another folder than the driver's"] * 2,
        ["or give --data as an address"] * 2 + ["mount one file system"] * 2,
        strict=True,
    ):
        assert line.startswith("fsamc: node ")
        assert f"{path} {trouble}; " in line
        assert mend in line
    assert contents(lab.root) == before
    assert not any(hidden["out"].iterdir())
    assert not any(hidden["cache"].iterdir())


def test_one_that_sees_all_is_told_nothing(cluster, lab: Lab, capfd):
    assert fsamc(*lab.words(lab.plan(), "--address", cluster.gcs, "--dry-run")) == 0
    output, errors = capfd.readouterr()
    assert "4 trials" in output
    assert (errors, "warning" in output) == ("", False)


def test_a_node_that_runs_another_program_is_named(joined, monkeypatch):
    reports = collect_reports(alive_nodes())
    assert all(isinstance(report, NodeReport) for report in reports.values()), reports
    assert findings(reports) == []
    own = inventory.program_versions()
    monkeypatch.setattr(inventory, "program_versions", lambda: own | {"Python": "3.99", "numpy": "0.1", "code": "0"})
    told = findings(reports)
    assert len(told) == 3 * 2
    serious = {line.text.split()[0]: line.serious for line in told}
    assert serious == {"Python": True, "numpy": False, "code": True}
    assert f"numpy is {own['numpy']} there and 0.1 at the driver; install the same numpy" in "\n".join(map(str, told))


@ray.remote(num_cpus=0)
def _stuck(_: object) -> NodeReport:
    os.read(os.pipe()[0], 1)  # for ever
    raise AssertionError


@ray.remote(num_cpus=0, max_retries=0)
def _broken(_: object) -> NodeReport:
    raise ModuleNotFoundError("No module named 'fsamc'")


@pytest.mark.parametrize(
    ("report", "text"),
    [(_stuck, "does not answer within 0.5 seconds"), (_broken, "No module named 'fsamc'")],
    ids=["stuck", "broken"],
)
def test_a_node_that_gives_no_report_is_a_finding_and_no_wait(joined, monkeypatch, report, text):
    monkeypatch.setattr(inventory, "_report", report)
    told = findings(collect_reports(alive_nodes(), patience=0.5 if report is _stuck else 60))
    assert len(told) == 2
    assert all(text in line.text and line.serious for line in told)


def test_a_node_that_is_gone_is_a_finding(joined):
    gone = Node(id="e" * 56, name="gone", address="10.0.0.9", resources={})
    (told,) = findings(collect_reports([gone]))
    assert "node 10.0.0.9 (gone, eeeeeeee): cannot run fsamc (" in str(told)


@pytest.mark.slow
def test_the_doctor_tells_of_every_node_what_a_sweep_would_refuse(cluster, lab: Lab, hidden, capfd):
    given = ["--address", cluster.gcs, "--textures", lab.textures, "--backbone", lab.backbone, "--json"]
    assert fsamc("doctor", *given, "--cache", hidden["cache"]) == 1
    found = json.loads(capfd.readouterr().out)
    (problem,) = (one for one in found if one["level"] == "problem")
    assert f"{hidden['cache']} is another folder than the driver's" in problem["found"]
    assert problem["mend"] == "mount one file system at this path on every node"
    assert fsamc("doctor", *given, "--cache", lab.root) == 0
    found = json.loads(capfd.readouterr().out)
    told = {one["subject"]: one["found"] for one in found}
    assert "2 CPUs of 2 nodes see what is seen here" in told["cluster"]
    assert told["dashboard"].endswith("asks for a token")
    assert cluster.token not in json.dumps(found)
