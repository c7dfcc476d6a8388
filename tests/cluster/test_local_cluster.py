"""Sweeps on a cluster with all that belongs to it: a head, two nodes, MLflow on PostgreSQL."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from fsamc.store.store import Store
from tests.chaos.scene import tracked
from tests.local_cluster import LocalCluster
from tests.sweeps.small import Lab, notes, table, without_numbers, write_materials

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(store=80 << 20) as started:
        yield started


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    root = tmp_path_factory.mktemp("cluster")
    materials = write_materials(root)
    return Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)


def on(cluster: LocalCluster, words: list[str]) -> list[str]:
    return [*words, "--address", cluster.ray.gcs, "--tracking-uri", cluster.mlflow.uri]


def builds(cache: Path) -> Counter[str]:
    """How often each artifact was built, by all sweeps that share the cache."""
    runs = (folder.name for folder in (cache / "builds").iterdir())
    return Counter(f"{build.kind} {build.key}" for run in runs for build in Store(cache, run=run).builds())


def test_two_sweeps_at_once_share_what_is_built_and_nothing_else(cluster, lab):
    plans = {"one": ["name=one"], "other": ["name=other", "base.representation.patches=7"]}
    words = {name: lab.words(lab.plan(), *changes, out=name, cache="shared") for name, changes in plans.items()}
    begun = {name: lab.start(on(cluster, each), cluster.environment) for name, each in words.items()}
    for name, process in begun.items():
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, f"{name}\n{output}\n{errors}"
    assert set(builds(lab.root / "shared").values()) == {1}
    for name, changes in plans.items():
        alone = lab.sweep(lab.plan(), *changes, out=f"{name}-alone", cache=f"{name}-alone-cache")
        assert without_numbers(table(lab.root / name)) == without_numbers(table(alone))
        held = tracked(cluster.mlflow.uri, name, notes(lab.root / name)["run"])
        assert sorted(held) == ["0", "1", "2", "3", "parent"]
        assert {run["status"] for run in held.values()} == {"FINISHED"}
    assert os.environ.get("RAY_AUTH_TOKEN") != cluster.ray.token
