"""Batch inference on several nodes, against the same classifier in this process."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest
import ray
import ray.data

from cluster import runtime
from cluster.batch_predict import predict_on_cluster
from fsamc.classifier.classifier import DefectClassifier
from fsamc.classifier.prediction import Unread
from fsamc.fold.config import FoldConfig
from sweeps.cli import quiet_ray
from tests import one_ray
from tests.ray_cluster import STORE, RayCluster
from tests.sweeps.small import fsamc, titles

OWN = r"ignore:.use_\w+. is deprecated:DeprecationWarning"  # Ray Data of its settings, when it copies them
pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.filterwarnings(OWN)]


@pytest.fixture(scope="module")
def classifier(materials, tmp_path_factory) -> DefectClassifier:
    """One whose network is a file that is gone: workers have it from the classifier alone."""
    network = tmp_path_factory.mktemp("network") / "tiny.pt2"
    shutil.copy(materials / "tiny.pt2", network)
    features = {"backbone": str(network), "size": 64, "dim": 16, "precision": "fp32"}
    settings = {"features": features, "head": {"kind": "prototype"}, "views": {"support": "none", "queries": "none"}}
    category = materials / "data" / "cap"
    photos = {name: sorted((category / "test" / name).iterdir())[:2] for name in ("crack", "dent", "hole")}
    fitted = DefectClassifier(FoldConfig.model_validate(settings)).fit(category / "train" / "good", photos)
    file = network.with_name("cap.fsamc")
    fitted.save(file, with_backbone=True)
    network.unlink()
    return DefectClassifier.load(file, cache=network.parent / "cache")


@pytest.fixture
def pictures(materials, tmp_path) -> list[Path]:
    """Those of a category many times over, and one that cannot be read."""
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    found = sorted((materials / "data" / "cap").glob("t*/*/*.png"))
    return [*found, broken, *found * 30]


@pytest.fixture
def nodes(monkeypatch) -> RayCluster:
    """A head without CPUs, and two nodes with one each."""
    quiet_ray()
    one_ray.down()
    with RayCluster(cpus=0, store=2 * STORE) as cluster:
        for name, value in cluster.lets_in.items():
            monkeypatch.setenv(name, value)
        for name in ("one", "two"):
            cluster.add_raylet(name)
        yield cluster
        ray.shutdown()


def joined(cluster: RayCluster) -> None:
    runtime.start(cluster.gcs, cpus=0, gpus=0)
    end = time.monotonic() + 240
    while sum(node["Alive"] for node in ray.nodes()) != 3:
        assert time.monotonic() < end
        time.sleep(0.2)


def test_two_nodes_give_the_answers_of_one_process_in_its_order(nodes, classifier, pictures, tmp_path):
    expected = list(classifier.predict_each(pictures))
    joined(nodes)
    ray.data.DataContext.get_current().wait_for_min_actors_s = 240  # so few pictures are done before the second is up
    found, used = [], set()
    for one in predict_on_cluster(classifier, pictures):
        found.append(one)
        if len(found) % 20 == 1:
            used |= {name for name, node in nodes.nodes.items() if any("MapWorker" in t for t in titles(node.pid))}
    assert used == {"one", "two"}
    assert [one.name for one in found] == [str(path) for path in pictures]
    for one, other in zip(found, expected, strict=True):
        if isinstance(other, Unread):
            assert one == other
            continue
        assert (one.answer, one.labels, one.nearest) == (other.answer, other.labels, other.nearest)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)

    ray.shutdown()
    classifier.save(tmp_path / "cap.fsamc")
    table, lines = tmp_path / "far.csv", tmp_path / "near.csv"
    words = ["predict", tmp_path / "cap.fsamc", *pictures[:5], "--cache", tmp_path]
    assert fsamc(*words, "--csv", table, "--address", nodes.gcs) == 0
    assert fsamc(*words, "--csv", lines) == 0
    assert table.read_text() == lines.read_text()
