"""MLflow's sync as in the product, but forked from a process that has loaded MLflow, and on copies of one database."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["sweeps.tracking.background", "mlflow.store.tracking.sqlalchemy_store"])


class CopyingProcesses:
    """In place of a context of multiprocessing.

    Args:
        empty: returns a database of MLflow; new ones are copies of it.
    """

    Pipe = staticmethod(FORKED.Pipe)

    def __init__(self, empty: Callable[[], Path]) -> None:
        self._empty = empty

    def Process(self, target: Callable[..., None], args: tuple[Any, ...], **more: Any) -> Any:  # noqa: N802
        """A process that is not started yet."""
        return FORKED.Process(target=_on_copies, args=(self._empty(), target, args), **more)


def copying(empty: Callable[[], Path]) -> Any:
    """Patch this process: MLflow's new databases are copies of what `empty` returns."""

    def copy(database: Path) -> None:
        if not database.exists():
            shutil.copy(empty(), database)

    return mock.patch("sweeps.tracking.uri._create_whole", copy)


def _on_copies(empty: Path, target: Callable[..., None], args: tuple[Any, ...]) -> None:
    with copying(lambda: empty):
        target(*args)
