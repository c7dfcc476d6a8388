"""Several nodes, each with its own object store: where folds run, and what is left when a node goes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import ray

from cluster import runtime
from cluster.fold_service import FoldRunner
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from sweeps.cli import quiet_ray
from tests import one_ray
from tests.cluster.test_banks import answer, bank_actors, builds
from tests.ray_cluster import RayCluster
from tests.sweeps.small import titles

pytestmark = [pytest.mark.ray, pytest.mark.slow]

SLOW = {"head__kind": "contrastive", "finetune__epochs": {2: 100}}


@pytest.fixture(scope="module")
def nodes() -> Iterator[RayCluster]:
    """A head without CPUs, and two nodes with one each."""
    quiet_ray()
    one_ray.down()
    with pytest.MonkeyPatch.context() as patch, RayCluster(cpus=0) as cluster:
        for name, value in cluster.lets_in.items():
            patch.setenv(name, value)
        for name in ("one", "two"):
            cluster.add_raylet(name)
        runtime.start(cluster.gcs, cpus=0, gpus=0)
        wait_for(3)
        try:
            yield cluster
        finally:
            ray.shutdown()


def wait_for(count: int) -> None:
    """Until so many nodes are alive."""
    end = time.monotonic() + 240
    while sum(node["Alive"] for node in ray.nodes()) != count:
        assert time.monotonic() < end
        time.sleep(0.2)


def running(cluster: RayCluster) -> dict[str, int]:
    """How many folds run on each node at this moment, by its name."""
    return {name: titles(process.pid).count("ray::_run_fold") for name, process in cluster.nodes.items()}


def where_it_runs(cluster: RayCluster, reference) -> set[str]:
    """The names of the nodes on which folds were seen until this one was done."""
    seen: set[str] = set()
    while not ray.wait([reference], timeout=0.02)[0]:
        seen.update(node for node, count in running(cluster).items() if count)
    return seen


def node_of_bank(name: str) -> str:
    node_id = bank_actors()[name].__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())
    return {node["NodeID"]: node["NodeName"] for node in ray.nodes()}[ray.get(node_id)]


def test_a_fold_runs_where_its_arrays_are_and_elsewhere_only_if_that_node_is_busy(nodes, shared, fold):
    runner = FoldRunner.start(shared)
    for seed in (1, 2, 3):  # one after the other: a fold that finds its node busy takes the arrays to the other
        ray.get(runner.submit(fold(seed=seed)))
    for number, seed in enumerate((1, 2, 3)):
        assert where_it_runs(nodes, runner.submit(fold(seed=seed, representation__extent=10 + number, **SLOW))) == {
            node_of_bank(f"bank:cap:{seed}")
        }
    two = [runner.submit(fold(seed=1, representation__extent=patches, **SLOW)) for patches in (20, 21)]
    assert len(where_it_runs(nodes, two[0]) | where_it_runs(nodes, two[1])) == 2
    assert builds(shared)["bank of cap, seed 1"] == 1


def test_the_service_lives_on_its_drivers_node(nodes, shared):
    runners = [FoldRunner.start(shared) for _ in range(5)]
    found = [
        runner.service.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id()) for runner in runners
    ]
    assert set(ray.get(found)) == {ray.get_runtime_context().get_node_id()}
    for runner in runners:
        runner.stop()


def test_a_node_that_goes_costs_the_folds_in_flight_and_nothing_else(nodes, shared, fold, tmp_path):
    asked = [fold(name, seed, **SLOW) for name in ("cap", "tile") for seed in (1, 2)]
    runner = FoldRunner.start(shared)
    ray.get([runner.submit(fold(one.category, one.seed)) for one in asked])
    references = [runner.submit(one) for one in asked]
    while not all(running(nodes)[name] for name in ("one", "two")):
        assert ray.wait(references, num_returns=len(references), timeout=0.02)[1], "all was done before"
    nodes.kill_raylet("two")
    for one, (text, reused) in zip(asked, ray.get(references), strict=True):
        plain = Store(tmp_path / "plain")
        expected = run_fold(
            shared.categories[one.category], one.config, seed=one.seed, store=plain, textures=shared.textures
        )
        assert answer(FoldResult.from_json(text)) == answer(expected)
        assert not reused
    assert all(count == 1 for count in builds(shared).values())
    wait_for(2)
    nodes.add_raylet("three")
    wait_for(3)
    later = [runner.submit(fold(one.category, one.seed, representation__extent=9, **SLOW)) for one in asked]
    seen: set[str] = set()
    for reference in later:
        seen |= where_it_runs(nodes, reference)
    assert "three" in seen
