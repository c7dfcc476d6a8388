"""MLflow sync: delivery while a sweep runs, and for one that has ended."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import cast

from filelock import FileLock, Timeout

from fsamc.counting import counted
from fsamc.errors import BadInput
from sweeps.checks.disk import check_addressable, check_databases
from sweeps.errors import Unfinished
from sweeps.gently import run_gently
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from sweeps.results.reader import SweepReader
from sweeps.tracking.delivery import Delivery
from sweeps.tracking.uri import check_tracking, is_server, one_line

_PERIOD, _LONGEST = 1.0, 30.0  # seconds between two deliveries; the longest pause while MLflow is away
_LOCK = ".mlflow.lock"

_DELIVER = "sweeps.tracking.background:deliver_until_ended"
PROCESSES = multiprocessing.get_context("spawn")  # a driver has threads, and cannot be forked


class MlflowSync:
    """Delivers a sweep's results while it runs, in a process of its own: of a trial MLflow takes as long as the driver.

    Whatever happens to MLflow, or to that process, does not concern the sweep. Leaving its context without `finish`
    closes as killed what was not closed before.

    Args:
        out: the sweep's folder.
        plan: as resolved.
        uri: MLflow tracking URI; None delivers nothing.

    Attributes:
        page: once all is delivered, where the runs are to be seen, below a server's address.
    """

    def __init__(self, out: Path, plan: Plan, uri: str | None) -> None:
        self._out, self._plan, self._uri = out, plan, uri
        self._lock = FileLock(out / _LOCK, timeout=0)
        self._process: BaseProcess | None = None
        self._finished = False
        self.page: str | None = None

    def finish(self, *, patient: bool = True) -> str | None:
        """Deliver the rest. In one line what is not delivered, and why, where MLflow does not answer for a while."""
        self._finished = True
        return self._end(self._plan.resources.tracking_patience if patient else 0.0)

    def __enter__(self) -> MlflowSync:
        try:
            self._lock.acquire()
        except Timeout:
            raise BadInput(f"{self._lock.lock_file}: another fsamc works on this folder; wait for its end") from None
        if self._uri:
            self._orders, orders = PROCESSES.Pipe()
            what = _DELIVER, self._out, self._plan, self._uri, orders
            self._process = PROCESSES.Process(target=run_gently, args=what, name="mlflow-sync", daemon=True)
            with _without_interrupts():
                self._process.start()
            orders.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._finished:
                self._end(0.0)
        finally:
            if self._process:
                self._process.kill()  # it has nothing left to do, or was not waited for
                self._process.join()
            self._lock.release()

    def _end(self, patience: float) -> str | None:
        """Have the rest delivered; here, where the process has died."""
        if self._uri is None:
            return None
        try:
            self._orders.send(patience)
            reason, self.page = self._orders.recv()
        except (EOFError, OSError):
            delivery = Delivery(self._out, self._plan, self._uri)
            reason, self.page = deliver_all(delivery, patience), delivery.page
        return cast("str | None", reason)


def deliver_until_ended(out: Path, plan: Plan, uri: str, orders: Connection) -> None:
    """Deliver what is new again and again, with longer and longer pauses while that fails; at the order the rest.

    In a process by itself, which does not outlive the one that started it.

    Args:
        out: the sweep's folder.
        plan: as resolved.
        uri: MLflow tracking URI.
        orders: the order is the patience in seconds; the answer what is left and why, or None, and `Delivery.page`.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    delivery, pause = Delivery(out, plan, uri), _PERIOD
    while not orders.poll(pause):
        pause = _PERIOD if try_to_deliver(delivery, ended=False) is None else min(2 * pause, _LONGEST)
    patience = orders.recv()
    delivery.stop_measuring()
    orders.send((deliver_all(delivery, patience), delivery.page))


def _end_with_parent() -> None:
    if parent := parent_process():
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C, which a terminal sends to all processes, from one that is started now: it is the sweep that ends."""
    resource_tracker.ensure_running()  # which lets them through again, the first time
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deliver_all(delivery: Delivery, patience: float) -> str | None:
    """Deliver all that there is; say in one line what is left and why, after `patience` seconds without progress."""
    pause, had, end = _PERIOD, delivery.delivered, time.monotonic() + patience
    while (reason := try_to_deliver(delivery, ended=True)) is not None:
        if delivery.delivered > had:
            had, end = delivery.delivered, time.monotonic() + patience
        if time.monotonic() + pause > end:
            return f"{counted(delivery.left(), 'trial', 'are')} not delivered to MLflow ({reason})"
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST)
    return None


def try_to_deliver(delivery: Delivery, *, ended: bool) -> str | None:
    """Deliver what there is; say in one line why that failed, if it did."""
    try:
        delivery.deliver(ended=ended)
    except Exception as error:  # a sweep does not end for what becomes of its tracking
        logging.getLogger(__name__).debug("not delivered", exc_info=True)
        return one_line(error)
    return None


def track(out: Path, uri: str | None) -> int:
    """Deliver all of a sweep that has ended, in whatever way, to where it was tracked or to `uri`; trials there now.

    Raises:
        BadInput: `out` holds no sweep, it still runs, or MLflow cannot be reached.
        Unfinished: MLflow went away before all was there.
    """
    check_started(out)
    SweepReader(out).check()
    check_databases(out)
    plan, where = load_plan(str(out / "plan.yaml")), uri or runs_at(out)
    check_tracking(where, plan.name, deadline=plan.resources.deadline)
    with MlflowSync(out, plan, None):  # for its lock
        delivery = Delivery(out, plan, where)
        if (reason := deliver_all(delivery, plan.resources.tracking_patience)) is not None:
            raise Unfinished(f"{reason}; the same command goes on")
    return delivery.delivered


def check_started(out: Path) -> None:
    """Raise BadInput where OUT holds no sweep that has started."""
    if not (out / "plan.yaml").exists() or not (out / "sweep.json").exists():
        raise BadInput(f"{out}: holds no sweep that has started; give the folder of results of one")


def runs_at(out: Path) -> str:
    """Where a sweep's runs are; OUT with its database may have been moved since.

    Raises BadInput where OUT lost it, or its path is no address of a database.
    """
    noted, database = SweepReader(out).notes.get("tracking_uri") or "", out / "mlflow.db"
    if database.exists() and not is_server(noted):
        check_addressable(out)
        return f"sqlite:///{database.absolute()}"
    if not noted:
        raise BadInput(f"{out / 'sweep.json'}: does not say where the runs are tracked; give --tracking-uri")
    return noted
