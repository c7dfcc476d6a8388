"""Checks of MLflow: the tracking URI, the version that answers, whether its database is safe where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

from mlflow.version import VERSION

from fsamc.deadline import DEADLINE, within
from sweeps.doctor.check import Check, graded, refused
from sweeps.doctor.machine import network_disk
from sweeps.tracking.uri import check_tracking


def examine_tracking(uri: str) -> Iterator[Check]:
    """Yield what is to be said of a tracking URI."""
    (reached,) = refused("tracking URI", uri, lambda: check_tracking(uri, "Default"))
    yield reached
    if reached.level != "ok":
        return
    if uri.startswith("http") and (there := _version(uri)):
        mend = f"install the same on both sides: pip install mlflow=={there}"
        other = there.split(".")[:2] != VERSION.split(".")[:2]
        yield graded("MLflow server", f"{there}, and {VERSION} here", mend, warning=other)
    file = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and (kind := network_disk(file)):
        mend = "put it on a disk of this machine, or run `mlflow server` and give its address"
        finding = f"{file} lies on {kind}, where SQLite's locks cannot be relied on"
        yield Check("MLflow database", "warning", finding, mend)


def _version(uri: str) -> str | None:
    try:
        return within(DEADLINE, lambda: _read(f"{uri.rstrip('/')}/version"), uri).decode().strip()
    except (OSError, ValueError):  # servers of others need not have it
        return None


def _read(url: str) -> bytes:
    with urlopen(url, timeout=10) as answer:
        start: bytes = answer.read(100)
    return start
