"""Ray: starting it, and running folds on it."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from cluster import ray_private
from cluster.fold_service import FoldRunner
from cluster.folds import Fold, Materials, Outcome
from cluster.nodes.inventory import alive_nodes
from fsamc.errors import BadInput
from fsamc.fold.result import FoldResult

_LONGEST_TEMP_DIR = 107 - len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store")  # of a socket's path


def start(address: str | None, *, cpus: int, gpus: float, nice: int = 0) -> None:
    """Join the cluster at `address`, or start an embedded one with `cpus` CPUs for folds.

    Its workers are as much nicer than this process as `nice` says. Ray's own choice is 15, with which they starve
    beside other work; those of a cluster are what it was started with.
    """
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address:
        ray_private.read_token_anew()
        with _interruptible():
            ray.init(address=address, log_to_driver=False, logging_level=logging.CRITICAL)
        return
    with _to_itself(nice), _interruptible():
        ray.init(
            address="local",  # else what RAY_ADDRESS names, or a cluster that a killed driver left, is joined
            num_cpus=cpus,
            num_gpus=int(gpus) or None,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _temp_dir=short_temp_dir(),
        )


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM, of which Ray makes a silent exit while it starts and ever after, mean what it meant before."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except SystemExit:
        raise KeyboardInterrupt from None
    finally:
        if callable(before) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def short_temp_dir(otherwise: Path = Path("/tmp")) -> str | None:
    """Return the folder of an embedded Ray's sessions where Ray's own choice is too long for a socket's path.

    Raises BadInput if `otherwise`, which is taken then, cannot be written to.
    """
    own = ray_private.temp_dir()
    if len(os.fsencode(own)) <= _LONGEST_TEMP_DIR:
        return None
    if not os.access(otherwise, os.W_OK | os.X_OK):
        raise BadInput(
            f"{own}: {len(os.fsencode(own))} bytes are too long for the sockets of Ray, {_LONGEST_TEMP_DIR} are the "
            f"most, and {otherwise} cannot be written to; set RAY_TMPDIR to a shorter folder"
        )
    return str(otherwise / f"ray-{os.getuid()}")


@contextmanager
def _to_itself(nice: int) -> Iterator[None]:
    """Have a Ray that starts in this context listen on loopback only, and ask for a token that nobody else has.

    The token, and how nice its workers are, are in the environment while Ray's processes start, and on no command line.
    """
    own = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_worker_niceness": str(nice)}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    ray_private.read_token_anew()
    try:
        with ray_private.on_loopback():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def smallest_object_store() -> float:
    """Return the bytes of the smallest object store among the nodes that run folds."""
    nodes = [node.resources for node in alive_nodes()]
    return float(min(has.get("object_store_memory", 0.0) for has in nodes if has.get("CPU")))


@contextmanager
def running(shared: Materials) -> Iterator[FoldRunner]:
    """Have a fold service for as long as the context is open."""
    runner = FoldRunner.start(shared)
    try:
        yield runner
    finally:
        with suppress(RayError):  # Ray has gone, and with it the fold service
            runner.stop()


def run_folds(folds: Sequence[Fold], runner: FoldRunner, *, at_once: int, retries: int) -> Iterator[Outcome]:
    """Run folds and yield each as it finishes; once no more are to be started, only those that are running.

    Args:
        folds: what to run.
        runner: runs them.
        at_once: how many folds to have in flight.
        retries: how often a fold that raised is tried again.
    """
    waiting = [(fold, retries) for fold in reversed(folds)]
    running: dict[Any, tuple[Fold, int]] = {}
    while waiting or running:
        while waiting and len(running) < at_once:
            fold, left = waiting.pop()
            running[runner.submit(fold)] = fold, left
        (done,), _ = ray.wait(list(running), num_returns=1)
        fold, left = running.pop(done)
        outcome = _outcome(fold, done)
        if outcome is None:  # the runner was halted
            waiting.clear()
        elif outcome.result is None and left and not outcome.fatal:
            waiting.append((fold, left - 1))
        else:
            yield outcome


def _outcome(fold: Fold, done: Any) -> Outcome | None:
    try:
        answer = ray.get(done)
    except Exception as error:  # whatever a fold may raise is this fold's outcome, not the sweep's
        cause = _cause(error)
        full = full_disk(cause)
        return Outcome(fold=fold, result=None, error=full or _one_line(cause), fatal=full is not None)
    if answer is None:
        return None
    text, reused = answer
    return Outcome(fold=fold, result=FoldResult.from_json(text), reused=reused)


def _cause(error: BaseException) -> BaseException:
    """Return what was raised where it happened: Ray wraps it anew in each process that it passes."""
    while isinstance(inner := getattr(error, "cause", None), BaseException):
        error = inner
    return error


def full_disk(error: BaseException) -> str | None:
    """Say in one line where the disk is full or may not be written to; None for any other error."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return f"{error.filename or 'the disk'}: {error.strerror}"
    return None


def _one_line(cause: BaseException) -> str:
    text = " ".join(str(cause).split()) or type(cause).__name__
    return text if isinstance(cause, BadInput) else f"{type(cause).__name__}: {text}"[:300]
