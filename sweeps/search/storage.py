"""Storage of a study: its address, whose password stands in the environment only, and whether it can be reached."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage, get_storage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy import URL, create_engine, inspect, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from fsamc.deadline import Answer, within
from fsamc.errors import BadInput
from sweeps.plan.settings import Plan

# What a storage raises where it cannot be used; the last is that of a driver which is not installed, or of a file.
ERRORS = (SQLAlchemyError, StorageInternalError, ImportError, OSError)
_PATIENCE = {"sqlite": {"timeout": 60}, "postgresql": {"connect_timeout": 10}}  # seconds: for a lock, for an answer


class StudyStorage:
    """Storage that `search.storage` names, or OUT/study.db.

    Attributes:
        shown: the address as the plan has it, without passwords.
    """

    def __init__(self, plan: Plan, out: Path) -> None:
        """Take the address apart. Raises BadInput where a variable is not set, or it is none."""
        self._database: RDBStorage | None = None
        self._deadline = plan.resources.deadline
        self._in_plan = plan.search.storage is not None
        self.shown = plan.search.storage or f"sqlite:///{(out / 'study.db').absolute()}"
        self._url = _expanded(self.shown) if "://" in self.shown or self.shown.startswith("${") else None

    def check(self) -> bool:
        """Whether there are studies. Writes nothing. Raises BadInput if the storage cannot be used."""
        try:
            if self._url is None:
                return self._is_file(Path(self.shown))
            if self._url.drivername.startswith("sqlite") and not self._is_file(Path(self._url.database or "")):
                return False
            return self.within_deadline(self._has_studies)
        except ERRORS as error:
            raise BadInput(
                f"search.storage: {self.shown}: {self.why(error)}; start it or correct the address"
            ) from None

    def within_deadline(self, call: Callable[[], Answer]) -> Answer:
        """Return what a call to the storage returns. Raises TimeoutError, or one of the other `ERRORS`."""
        return within(self._deadline, call, f"the study at {self.shown}")

    def open(self) -> BaseStorage:
        """Open the storage; make it if need be."""
        return self.within_deadline(self._open)

    def _has_studies(self) -> bool:
        assert self._url is not None
        engine = create_engine(self._url, connect_args=self._patience())
        try:
            return inspect(engine).has_table("studies")
        finally:
            engine.dispose()

    def _open(self) -> BaseStorage:
        if self._url is None:
            return JournalStorage(JournalFileBackend(self.shown))
        text = self._url.render_as_string(hide_password=False).replace("{", "{{").replace("}", "}}")
        for seconds in (0.2, 1.0, 3.0):  # two drivers that make the same tables at once get into each other's way
            try:
                return self._rdb(text)
            except SQLAlchemyError:
                time.sleep(seconds)
        return self._rdb(text)

    def why(self, error: BaseException) -> str:
        """Write the error in a line, and without what is secret."""
        if isinstance(error, ImportError):
            return f"{error}; pip install 'fsamc[postgresql]' brings the driver of PostgreSQL"
        cause = error.__cause__ if isinstance(error, StorageInternalError) and error.__cause__ else error
        text = " ".join(str(cause).split()).partition(" [SQL:")[0].partition(" (Background on")[0]
        if self._url is not None and self._url.password:
            text = text.replace(str(self._url.password), "***")
        return text[:300]

    def close(self) -> None:
        """Let go of a database that was opened."""
        if self._database is not None:
            self._database.remove_session()
            self._database.engine.dispose()

    def _rdb(self, text: str) -> BaseStorage:
        self._database = RDBStorage(text, engine_kwargs={"connect_args": self._patience()})
        return get_storage(self._database)

    def _patience(self) -> dict[str, int]:
        assert self._url is not None
        return next((options for name, options in _PATIENCE.items() if self._url.drivername.startswith(name)), {})

    def _is_file(self, path: Path) -> bool:
        """Whether the file is there; it can be made where there is a folder for it. OUT may be made later."""
        if self._in_plan and not path.absolute().parent.is_dir():
            raise BadInput(f"search.storage: {self.shown}: there is no folder {path.absolute().parent}; make it")
        return path.is_file()


def _expanded(address: str) -> URL:
    """Put environment variables into the address; what they hold needs no escapes."""
    if re.fullmatch(r"\$\{\w+\}", address):
        return _parsed(_variable(address), address)
    url = _parsed(address, address)
    query = {name: _filled(value) or "" if isinstance(value, str) else value for name, value in url.query.items()}
    return url.set(
        username=_filled(url.username),
        password=_filled(url.password),
        host=_filled(url.host),
        database=_filled(url.database),
        query=query,
    )


def _parsed(text: str, shown: str) -> URL:
    try:
        return make_url(text)
    except (ArgumentError, ValueError):
        expected = "a URL such as postgresql://USER:${PASSWORD}@HOST/NAME, or a journal file"
        raise BadInput(f"search.storage: {shown}: expected {expected}") from None


def _filled(text: str | None) -> str | None:
    return re.sub(r"\$\{\w+\}", lambda match: _variable(match[0]), text) if text else None


def _variable(written: str) -> str:
    name = written[2:-1]
    if name not in os.environ:
        raise BadInput(f"search.storage: {written}: there is no environment variable {name}; set it")
    return os.environ[name]
