"""Checks of MLflow: the tracking URI, the version that answers, whether its database is safe where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from mlflow.version import VERSION

from sweeps.doctor.check import Check, ok, refused, warning
from sweeps.doctor.machine import network_disk
from sweeps.tracking.uri import check_tracking


def examine_tracking(uri: str) -> Iterator[Check]:
    """Yield what is to be said of a tracking URI."""
    (finding,) = refused("tracking URI", uri, lambda: check_tracking(uri, "Default"))
    yield finding
    if finding.level != "ok":
        return
    if uri.startswith("http"):
        yield from _version(uri)
    if uri.startswith("sqlite:///"):
        file = Path(uri.removeprefix("sqlite:///"))
        if kind := network_disk(file):
            mend = "put it on a disk of this machine, or run `mlflow server` and give its address"
            yield warning("MLflow database", f"{file} lies on {kind}, where SQLite's locks cannot be relied on", mend)


def _version(uri: str) -> Iterator[Check]:
    try:
        with urlopen(f"{uri.rstrip('/')}/version", timeout=10) as answer:
            there = answer.read(100).decode().strip()
    except (URLError, OSError, ValueError):  # servers of others need not have it
        return
    if there.split(".")[:2] != VERSION.split(".")[:2]:
        mend = f"install the same on both sides: pip install mlflow=={there}"
        yield warning("MLflow server", f"{there}, and {VERSION} here", mend)
    else:
        yield ok("MLflow server", there)
