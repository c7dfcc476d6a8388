"""Artifacts on Ray: built once, served without a copy, served again after a death."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
import ray

from cluster.bank_actors import ClusterStore, Offer, files_of
from cluster.fold_service import FoldRunner
from cluster.folds import Fold
from fsamc.artifacts.category_bank import Bank
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from tests.sweeps.small import titles

pytestmark = pytest.mark.ray


@pytest.fixture
def runner(started, shared) -> Iterator[FoldRunner]:
    runner = FoldRunner.start(shared)
    yield runner
    runner.stop()


def offered(runner: FoldRunner, artifact) -> Offer:
    return ray.get(runner.service.provide.remote(artifact))


def store_of(runner: FoldRunner, shared, *artifacts) -> ClusterStore:
    """What a fold would see that is served these."""
    offers = {artifact.key: offered(runner, artifact) for artifact in artifacts}
    served = {key: {name: ray.get(r) for name, r in offer.references.items()} for key, offer in offers.items() if offer}
    return ClusterStore(files_of(shared.store, shared.run), served)


def inputs_of(one: Fold, shared) -> FoldInputs:
    return one.inputs(shared.categories, shared.textures)


def builds(shared) -> Counter[str]:
    return Counter(f"{build.kind} of {build.about}" for build in Store(shared.store, run=shared.run).builds())


def bank_pids() -> dict[str, int]:
    """Process of every living bank actor, by name."""
    return {name: ray.get(actor.__ray_call__.remote(lambda _: os.getpid())) for name, actor in bank_actors().items()}


def bank_actors() -> dict[str, Any]:
    """Every living bank actor, by name."""
    named = ray.util.list_named_actors(all_namespaces=True)
    return {each["name"]: ray.get_actor(each["name"], each["namespace"]) for each in named}


def answer(result: FoldResult) -> FoldResult:
    """All of a result but the time it took."""
    return replace(result, stages={})


def test_a_fold_on_ray_is_the_fold_without_it(runner, shared, fold, tmp_path):
    padim = {"reference__kind": "padim", "head__kind": "contrastive", "pseudo__residual": "bank"}
    folds = [
        fold(support__mean="image", head__kind="contrastive"),
        fold(detection__enabled=True, **padim),
        fold("tile", 2, reference__kind="cpr", reference__images=2, reference__words=4, detection__enabled=True),
    ]
    for one, (text, reused) in zip(folds, ray.get([runner.submit(one) for one in folds]), strict=True):
        assert not reused
        plain = run_fold(
            shared.categories[one.category],
            one.config,
            seed=one.seed,
            store=Store(tmp_path / "plain"),
            textures=shared.textures,
        )
        assert answer(FoldResult.from_json(text)) == answer(plain)


def test_each_artifact_is_built_once_and_served_by_one_actor_per_category_and_seed(runner, shared, fold):
    heads = [{"representation__extent": 3}, {"head__kind": "contrastive", "finetune__lr": 0.01}]
    asked = [fold(category, seed, **head) for head in heads for category in ("cap", "tile") for seed in (1, 2)]
    drawing_nothing = {"reference__kind": "spade", "reference__images": 2}
    asked += [fold(seed=seed, **drawing_nothing) for seed in (1, 2)]
    ray.get([runner.submit(one) for one in asked])
    assert builds(shared) == Counter(
        [
            *("features of cap, 5 images", "features of cap, 15 images"),
            *("features of tile, 4 images", "features of tile, 10 images"),
            *(f"bank of {name}, seed {seed}" for name in ("cap", "tile") for seed in (1, 2)),
            *(f"nearest of {name}, seed {seed}, features" for name in ("cap", "tile") for seed in (1, 2)),
            *("pseudo of cap, 3 pseudo-classes", "pseudo of tile, 3 pseudo-classes"),
            *(f"vectors of {name}, seed {seed}, features, view 0" for name in ("cap", "tile") for seed in (1, 2)),
            *(f"{kind} of {name}" for kind in ("statistics", "sourcerows") for name in ("cap", "tile")),
            *("vectors of cap, view 0", "vectors of tile, view 0"),
            *("bank of cap, seed 0, spade", "nearest of cap, seed 0, spade, features"),
            "vectors of cap, seed 0, spade, features, view 0",
        ]
    )
    assert sorted(bank_pids()) == ["bank:cap:0", "bank:cap:1", "bank:cap:2", "bank:tile:1", "bank:tile:2"]


def test_the_actors_go_with_their_sweep(started, shared, fold):
    runner = FoldRunner.start(shared)
    ray.get(runner.submit(fold()))
    pids = bank_pids().values()
    del runner
    wait_until_gone(pids)


def wait_until_gone(pids) -> None:
    _, alive = psutil.wait_procs([psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)], timeout=30)
    assert not alive


def test_banks_and_nearest_rows_are_read_only_views_of_one_copy_verified_once(runner, shared, fold, monkeypatch):
    inputs = inputs_of(fold(), shared)
    store, other = (store_of(runner, shared, *inputs.artifacts) for _ in range(2))
    for artifact in (inputs.bank, inputs.nearest(inputs.defects)):
        plain = Store(shared.store).get(artifact)
        first, second = store.get(artifact), other.get(artifact)
        assert set(first) == set(plain)
        for name, array in first.items():
            np.testing.assert_array_equal(array, plain[name])
            assert not array.flags.writeable
            assert not array.flags.owndata
            with pytest.raises(ValueError, match="read-only"):
                array[:] = 0
        large = "rows" if isinstance(artifact, Bank) else "distances"
        assert first[large].__array_interface__["data"] == second[large].__array_interface__["data"]
    features = store.get(inputs.bank.good)["features"]
    assert isinstance(features, np.memmap)
    assert not features.flags.writeable
    monkeypatch.setattr("fsamc.store.damage.file_digest", lambda _: pytest.fail("read again"))
    assert store_of(runner, shared).has(inputs.bank.good)
    assert store_of(runner, shared).get(inputs.bank.good)["features"].shape[0] == 5


def test_a_bank_actor_that_dies_comes_back_and_serves_again(runner, shared, fold):
    before = FoldResult.from_json(ray.get(runner.submit(fold()))[0])
    ((name, pid),) = bank_pids().items()
    kill(pid)
    text, _ = ray.get(runner.submit(fold(representation__extent=4)))
    assert FoldResult.from_json(text).classes == before.classes
    assert list(bank_pids()) == [name]
    assert bank_pids()[name] != pid
    assert builds(shared)["bank of cap, seed 1"] == 1


def test_a_fold_whose_bank_dies_while_it_waits_for_a_worker_is_served_anew(started, shared, fold):
    runner = FoldRunner.start(replace(shared, workers=1))
    ray.get(runner.submit(fold()))
    slow = runner.submit(fold("tile", head__kind="contrastive", finetune__epochs={2: 150}))
    waiting = runner.submit(fold(representation__extent=4))
    while "ray::_run_fold" not in titles():
        assert not ray.wait([slow], timeout=0.02)[0]
    pids = bank_pids()
    kill(pids["bank:cap:1"])
    assert not ray.wait([slow], timeout=0)[0]
    (text, _), (found, _) = ray.get([slow, waiting])
    assert FoldResult.from_json(text).category == "tile"
    assert FoldResult.from_json(found).queries == 9
    assert builds(shared)["bank of cap, seed 1"] == 1


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    wait_until_gone([pid])


@pytest.mark.slow
def test_what_no_fold_reads_is_let_go_of_where_memory_is_short(started, shared, fold):
    again = replace(shared, working_set=0.0, results=(shared.store.parent / "again",))
    ample, short = FoldRunner.start(shared), FoldRunner.start(again)
    asked = [fold(name, seed, representation__extent=n) for n in (3, 4) for name in ("cap", "tile") for seed in (1, 2)]
    ray.get([ample.submit(one) for one in asked])
    held = bytes_in_memory(ample)
    on_disk = [path for kind in ("bank", "nearest") for path in (shared.store / kind).glob("*/*.npy")]
    assert held == sum(np.load(path).nbytes for path in on_disk)
    ray.get([short.submit(one) for one in asked])
    assert bytes_in_memory(short) == 0
    of_the_first, end = sorted({path.parent.name for path in on_disk}), time.monotonic() + 20
    while sorted(served_by_all()) != of_the_first:  # an actor is told to release, and not waited for
        assert time.monotonic() < end
    assert all(count == 1 for count in builds(shared).values())


def bytes_in_memory(runner: FoldRunner) -> int:
    """Of what the bank actors of a service serve."""
    return ray.get(runner.service.__ray_call__.remote(lambda service: service._working_set.bytes))


def served_by_all() -> list[str]:
    """Keys of what every living bank actor serves; those of two services may have one name."""
    named = ray.util.list_named_actors(all_namespaces=True)
    actors = [ray.get_actor(each["name"], each["namespace"]) for each in named]
    return [key for one in actors for key in ray.get(one.__ray_call__.remote(lambda actor: list(actor._served)))]


def test_a_service_that_dies_comes_back_and_goes_on(started, shared, fold):
    """Also with so much that folds share that Ray does not send it along: a category may have thousands of images."""
    more = tuple(shared.store.parent / f"{'results' * 10}{number}" for number in range(2000))
    many = replace(shared, results=shared.results + more)
    assert len(ray.cloudpickle.dumps(many)) > 100 << 10
    runner = FoldRunner.start(many)
    ray.get(runner.submit(fold()))
    pid = ray.get(runner.service.__ray_call__.remote(lambda _: os.getpid()))
    os.kill(pid, signal.SIGKILL)
    ray.get([runner.submit(fold(seed=seed, representation__extent=4)) for seed in (1, 2)])
    assert sorted(bank_pids()) == ["bank:cap:1", "bank:cap:2"]
    assert builds(shared)["bank of cap, seed 1"] == 1


@pytest.mark.slow
def test_a_damaged_file_is_built_again(runner, shared, fold):
    ray.get(runner.submit(fold()))
    bank = inputs_of(fold(), shared).bank
    rows = shared.store / "bank" / bank.key / "rows.npy"
    whole = rows.read_bytes()
    rows.write_bytes(whole[:-2] + b"xx")
    fresh = FoldRunner.start(shared)
    served = store_of(fresh, shared, bank).get(bank)["rows"]
    np.testing.assert_array_equal(served, np.load(rows))
    assert rows.read_bytes() == whole
    assert builds(shared)["bank of cap, seed 1"] == 2


def test_a_build_that_fails_says_why_and_is_tried_again_when_asked_again(runner, shared, fold):
    lost = shared.categories["cap"].folder / "train" / "good" / "004.png"
    away = lost.rename(lost.with_name("away"))
    try:
        with pytest.raises(Exception, match=r"004\.png"):
            ray.get(runner.submit(fold()))
    finally:
        away.rename(lost)
    text, _ = ray.get(runner.submit(fold()))
    assert FoldResult.from_json(text).queries == 9


def test_what_is_under_way_is_told(runner, shared, fold):
    assert runner.under_way(timeout=10) == []
    pending = runner.submit(fold(head__kind="contrastive"))
    seen: set[str] = set()
    while not ray.wait([pending], timeout=0.005)[0]:
        seen.update(runner.under_way(timeout=10))
    assert "features of cap, 5 images" in seen
    assert seen <= {
        *("features of cap, 5 images", "features of cap, 15 images", "pseudo of cap, 3 pseudo-classes"),
        *("bank of cap, seed 1", "nearest of cap, seed 1, features", "vectors of cap, seed 1, features, view 0"),
        *("statistics of cap", "sourcerows of cap", "vectors of cap, view 0"),
    }
    assert runner.under_way(timeout=10) == []
