"""Folds as tasks: each told once, tried again, explained; the same few processes for all of them."""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import ray

from cluster import runtime
from cluster.fold_service import FoldRunner
from cluster.runtime import full_disk, run_folds, short_temp_dir
from fsamc.errors import BadInput
from fsamc.fold.result import FoldResult
from fsamc.store.store import Store
from tests import one_ray
from tests.fsamc.results import RESULT
from tests.sweeps.small import titles

pytestmark = pytest.mark.ray


# --- on a Ray of its own: first, where there is none yet


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_the_same_two_processes_hold_torch_for_all_builds_and_folds(shared, fold):
    """A fold after the first loads no library and no network again; who only waits loads none at all."""
    one_ray.down()  # with workers that other tests have left
    one_ray.up()
    heads = [{"representation__extent": n} for n in (3, 4, 5)] + [{"head__kind": "contrastive", "finetune__lr": 0.01}]
    folds = [fold(name, seed, **head) for head in heads for name in ("cap", "tile") for seed in (1, 2)]
    seen: set[int] = set()
    over = threading.Event()
    watch = threading.Thread(target=collect, args=(seen, over))
    watch.start()
    told = list(run_folds(folds, FoldRunner.start(shared), at_once=4, retries=0))
    over.set()
    watch.join()
    assert all(each.result for each in told)
    assert len(seen) == 2


def collect(seen: set[int], over: threading.Event) -> None:
    """Processes below this one that have torch loaded, while anything is run."""
    while not over.is_set():
        seen.update(with_torch())
        time.sleep(0.2)


def with_torch():
    for process in psutil.Process(os.getpid()).children(recursive=True):
        try:
            if "libtorch" in Path(f"/proc/{process.pid}/maps").read_text():
                yield process.pid
        except OSError:
            continue


@pytest.mark.parametrize("address", [None, "127.0.0.1:6379"])
def test_sigterm_while_ray_starts_interrupts_and_later_means_what_it_did(address, monkeypatch):
    def terminated(**_: object) -> None:
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # as Ray does
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(runtime.ray, "init", terminated)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            runtime.start(address, cpus=1, gpus=0)
        assert signal.getsignal(signal.SIGTERM) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_workers_are_as_nice_as_was_asked(started):
    niceness = ray.remote(num_cpus=0)(lambda: os.nice(0))
    assert ray.get(niceness.remote()) - os.nice(0) == min(one_ray.NICE, 19 - os.nice(0))
    assert "RAY_worker_niceness" not in os.environ


# --- with folds that fail


@ray.remote(num_cpus=0)
class Tries:
    """Counts how often a fold is tried; a fold fails as often as its seed says."""

    def __init__(self) -> None:
        self.tries: Counter[int] = Counter()

    async def run(self, seed: int, error: BaseException | None) -> tuple[str, bool]:
        self.tries[seed] += 1
        if error is not None and self.tries[seed] <= seed:
            await _raise.remote(error)
        return RESULT.to_json(), False

    def counted(self) -> dict[int, int]:
        return dict(self.tries)


@ray.remote
def _raise(error: BaseException) -> None:
    raise error


class Runner:
    """In place of a sweep's: hands folds to an actor that fails, through two processes as builds do."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.actor, self.error, self.submitted = Tries.remote(), error, 0

    def submit(self, fold):
        self.submitted += 1
        return self.actor.run.remote(fold.seed, self.error)


def outcomes(runner, folds, *, at_once=2, retries=0):
    return {each.fold.seed: each for each in run_folds(folds, runner, at_once=at_once, retries=retries)}


def test_every_fold_is_told_once_and_no_more_are_in_flight_than_asked(started, fold):
    runner, told = Runner(), []
    for one in run_folds([fold(seed=seed) for seed in range(9)], runner, at_once=2, retries=1):
        assert runner.submitted - len(told) <= 2
        told.append(one)
    assert sorted(each.fold.seed for each in told) == list(range(9))
    assert all(each.result == RESULT and each.error is None and not each.reused for each in told)


def test_a_fold_that_raises_is_tried_again_as_often_as_asked_and_then_explained(started, fold):
    runner = Runner(ValueError("features exceed\n the range of float16"))
    found = outcomes(runner, [fold(seed=seed) for seed in range(5)], retries=2)
    assert [found[seed].result is not None for seed in range(5)] == [True, True, True, False, False]
    assert ray.get(runner.actor.counted.remote()) == {0: 1, 1: 2, 2: 3, 3: 3, 4: 3}
    assert found[3].error == "ValueError: features exceed the range of float16"
    assert not found[3].fatal


class Halting(Runner):
    """Starts no more folds after the third, as a halted service does."""

    def submit(self, fold):
        return ray.put(None) if self.submitted >= 3 else super().submit(fold)


def test_of_a_halted_runner_only_the_running_folds_are_told(started, fold):
    told = list(run_folds([fold(seed=seed) for seed in range(9)], Halting(), at_once=3, retries=1))
    assert {each.fold.seed for each in told} <= {0, 1, 2}
    assert all(each.result == RESULT for each in told)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (BadInput("cap/x.png: cannot be read; replace it"), "cap/x.png: cannot be read; replace it"),
        (KeyError(), "KeyError: KeyError"),
        (RuntimeError("a" * 900), f"RuntimeError: {'a' * 286}"),
    ],
)
def test_a_reason_is_what_was_raised_where_it_happened(started, fold, error, line):
    assert outcomes(Runner(error), [fold(seed=1)])[1].error == line


def test_a_full_disk_is_not_tried_again_since_it_meets_every_fold(started, fold):
    runner = Runner(OSError(errno.ENOSPC, "No space left on device", "/cache/tmp/x"))
    found = outcomes(runner, [fold(seed=1)], retries=5)[1]
    assert (found.fatal, found.error) == (True, "/cache/tmp/x: No space left on device")
    assert ray.get(runner.actor.counted.remote()) == {1: 1}


def test_other_errors_of_files_are_one_folds_own():
    assert full_disk(OSError(errno.EROFS, "Read-only file system", "/x")) == "/x: Read-only file system"
    assert full_disk(OSError(errno.ENOSPC, "No space left on device")) == "the disk: No space left on device"
    assert full_disk(FileNotFoundError(errno.ENOENT, "No such file", "/x")) is None
    assert full_disk(ValueError("x")) is None


# --- with real folds


def test_a_result_is_on_disk_before_it_is_told_and_found_by_the_next(started, shared, fold, tmp_path):
    runner = FoldRunner.start(shared)
    (first,) = run_folds([fold()], runner, at_once=1, retries=0)
    kept = Store(shared.results[0]).get_text("fold", fold().inputs(shared.categories, shared.textures).key)
    assert FoldResult.from_json(kept or "") == first.result
    for results in (shared.results, (tmp_path / "new", *shared.results)):
        (again,) = run_folds([fold()], FoldRunner.start(replace(shared, results=results)), at_once=1, retries=0)
        assert again.reused
        assert again.result == first.result


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_folds_run_at_once_than_there_are_workers_asked_for(started, shared, fold, workers):
    slow = {"head__kind": "contrastive", "finetune__epochs": {2: 60}}
    folds = [fold("tile", representation__extent=n, **slow) for n in (3, 4, 5)]
    runner = FoldRunner.start(replace(shared, workers=workers))
    most, pending = 0, [runner.submit(one) for one in folds]
    while len(ray.wait(pending, num_returns=len(pending), timeout=0.05)[0]) < len(pending):
        most = max(most, titles().count("ray::_run_fold"))
    assert most == workers


@pytest.mark.parametrize("variable", ["TMPDIR", "RAY_TMPDIR"])
@pytest.mark.parametrize(("length", "fits"), [(10, True), (36, True), (60, False), (137, False)])
def test_sockets_of_ray_fit_below_its_temporary_folder(monkeypatch, variable, length, fits):
    monkeypatch.delenv("RAY_TMPDIR", raising=False)
    monkeypatch.setenv(variable, "/".ljust(length, "x"))
    chosen = short_temp_dir()
    assert (chosen is None) == fits
    folder = chosen or f"{os.environ[variable]}/ray"
    assert len(f"{folder}/session_2026-11-29_09-53-33_123456_4194304/sockets/plasma_store") <= 107


def test_no_short_temporary_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("RAY_TMPDIR", "/" + "x" * 136)
    with pytest.raises(BadInput, match=r"141 bytes are too long .* set RAY_TMPDIR"):
        short_temp_dir(tmp_path / "none")
