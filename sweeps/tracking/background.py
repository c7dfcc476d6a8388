"""MLflow sync: delivery while a sweep runs, and for one that has ended."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from fsamc.counting import counted
from fsamc.errors import BadInput
from sweeps.checks.disk import check_addressable, check_databases
from sweeps.errors import Unfinished
from sweeps.plan.load import load_plan
from sweeps.plan.settings import Plan
from sweeps.results.reader import SweepReader
from sweeps.tracking.delivery import Delivery
from sweeps.tracking.uri import check_tracking, is_server, one_line

_PERIOD, _LONGEST = 1.0, 30.0  # seconds between two deliveries; the longest pause while MLflow is away
_LOCK = ".mlflow.lock"


class MlflowSync(threading.Thread):
    """Delivers a sweep's results while it runs. Whatever happens to MLflow does not concern the sweep.

    Leaving its context without `finish` closes as killed what was not closed before.

    Args:
        out: the sweep's folder.
        plan: as resolved.
        uri: MLflow tracking URI; None delivers nothing.
    """

    def __init__(self, out: Path, plan: Plan, uri: str | None) -> None:
        super().__init__(daemon=True, name="mlflow-sync")
        self._delivery = Delivery(out, plan, uri) if uri else None
        self._lock = FileLock(out / _LOCK, timeout=0)
        self._ending = threading.Event()
        self._patience = plan.resources.tracking_patience
        self._finished = False

    @property
    def page(self) -> str | None:
        """Where the runs are to be seen, below a server's address; None where MLflow has not answered."""
        return self._delivery.page if self._delivery else None

    def run(self) -> None:
        """Deliver what is new, again and again; longer and longer pauses while that fails."""
        pause = _PERIOD
        while self._delivery and not self._ending.wait(pause):
            pause = _PERIOD if try_to_deliver(self._delivery, ended=False) is None else min(2 * pause, _LONGEST)

    def finish(self, *, patient: bool = True) -> str | None:
        """Deliver the rest. In one line what is not delivered, and why, where MLflow does not answer for a while."""
        self._finished = True
        self._ending.set()
        if self._delivery is None:
            return None
        self.join()
        self._delivery.stop_measuring()
        return deliver_all(self._delivery, self._patience if patient else 0.0)

    def __enter__(self) -> MlflowSync:
        try:
            self._lock.acquire()
        except Timeout:
            raise BadInput(f"{self._lock.lock_file}: another fsamc works on this folder; wait for its end") from None
        if self._delivery:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._finished and self._delivery:
                self._ending.set()
                self.join()
                self._delivery.stop_measuring()
                deliver_all(self._delivery, 0.0)
        finally:
            self._lock.release()


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
