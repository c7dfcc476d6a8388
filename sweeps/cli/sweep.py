"""`fsamc sweep`."""

from __future__ import annotations

from typing import Any

from sweeps.cli.options import console, quiet_ray, signature_of
from sweeps.request import Request


def sweep(**arguments: Any) -> None:
    """Run a plan: score its configurations on every fold.

    Writes tables, an MLflow experiment and a report to OUT, and goes on there after a kill.

    Where OUT holds a sweep, PLAN and --data may be left out: the sweep there goes on, on what it ran on.
    """
    quiet_ray()
    from sweeps.sweep import run_sweep

    run_sweep(Request(**arguments), console)


sweep.__signature__ = signature_of(Request)  # type: ignore[attr-defined]  # Typer reads it
