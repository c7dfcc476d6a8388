"""Tracking URIs: whether MLflow can be used there, and what can go wrong with it."""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient
from sqlalchemy.exc import SQLAlchemyError

from cluster.runtime import full_disk
from fsamc.data.credentials import holds_secret
from fsamc.deadline import DEADLINE, bounded, within
from fsamc.errors import BadInput
from sweeps.errors import StudyLost

MLFLOW_ERRORS = (MlflowException, SQLAlchemyError)  # the second is what a database says before MLflow is up


def obstacle(error: BaseException) -> str | None:
    """Say in one line why results cannot be written any more, if that was raised: a full disk, MLflow gone, ..."""
    if isinstance(error, StudyLost):
        return str(error)
    if not isinstance(error, MLFLOW_ERRORS):
        return full_disk(error)
    return f"MLflow: {one_line(error)}"


def one_line(error: BaseException) -> str:
    """Tell what went wrong, without the database's statement."""
    text = re.sub(r"^\(raised as a result of [^)]*\) ", "", " ".join(str(error).split()))
    return text.partition(" [SQL:")[0][:200]


def check_tracking(uri: str, experiment: str, *, deadline: float = DEADLINE) -> None:
    """Raise BadInput if a tracking URI cannot be used. Its line ends in the mend.

    Args:
        uri: MLflow tracking URI.
        experiment: the plan's name.
        deadline: seconds that each call may take.
    """
    check_no_password(uri)
    if problem := check_uri(uri, experiment, deadline=deadline):
        raise BadInput(problem)


def check_uri(uri: str, experiment: str, *, deadline: float = DEADLINE) -> str | None:
    """Say why a tracking URI cannot be used, in one line; None if it can."""
    if uri.startswith("file:") or "://" not in uri:
        return f"--tracking-uri {uri}: MLflow keeps no runs in folders any more; use sqlite:///FILE.db or http://HOST"
    try:
        with impatient():
            there = open_client(uri, deadline=deadline).get_experiment_by_name(experiment)
    except Exception as error:  # every backend has its own errors
        if "Invalid Host header" in str(error):
            host = urlsplit(uri).netloc
            return (
                f"--tracking-uri {uri}: the server refuses the name {host} (403, Invalid Host header); "
                f"start it with mlflow server --allowed-hosts '{host}'"
            )
        return f"--tracking-uri {uri}: cannot be reached ({' '.join(str(error).split())[:200]}); start it or correct it"
    if there is not None and there.lifecycle_stage != "active":
        return f"--tracking-uri {uri}: experiment {experiment} was deleted there; restore it or give another name="
    return None


def is_server(uri: str) -> bool:
    """Whether MLflow is asked there over HTTP, and not by way of a database."""
    return uri.startswith("http")


def check_no_password(uri: str) -> None:
    """Raise BadInput, without repeating it, where a tracking URI holds a password: it is kept with the results."""
    if holds_secret(uri):
        raise BadInput(
            f"--tracking-uri {uri.partition('://')[0]}://...: holds a password or key, which would be kept with "
            "the results; leave it out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or PGPASSWORD "
            "for PostgreSQL"
        )


def open_client(uri: str, *, deadline: float = DEADLINE) -> MlflowClient:
    """Open a client that keeps quiet, on a database that is there whole; each call has `deadline` seconds."""
    for noisy in ("mlflow", "alembic"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)  # what they log, they also raise
    # A call that MLflow repeats by itself may be done twice: whoever calls looks first at what the lost one has done.
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "0"
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    os.environ["MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT"] = "true"  # a call less for each run, besides
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # which tells MLflow's makers of each call
    if database := database_of(uri):
        _create_whole(database)
    return bounded(within(deadline, lambda: MlflowClient(uri), f"MLflow at {uri}"), deadline, f"MLflow at {uri}")


def database_of(uri: str) -> Path | None:
    """Return the file of an sqlite database."""
    return Path(uri.removeprefix("sqlite:///")).absolute() if uri.startswith("sqlite:///") and "?" not in uri else None


def _create_whole(database: Path) -> None:
    """Make a database under another name: it takes seconds, and MLflow can do nothing with a half that a kill left."""
    if not database.exists():
        part = database.with_name(f"{database.name}.{uuid.uuid4().hex}.part")
        MlflowClient(f"sqlite:///{part}")
        with suppress(FileExistsError):  # another sweep has been faster
            database.hardlink_to(part)
        part.unlink()


def artifact_root(uri: str, otherwise: Path) -> Path | None:
    """Return the folder of artifacts, next to a database that is a file; None where the server knows."""
    if database := database_of(uri):
        return database.parent / "mlartifacts"
    return None if is_server(uri) else otherwise


@contextmanager
def impatient() -> Iterator[None]:
    """Let MLflow fail at once: by default it asks an absent server for minutes."""
    names = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
