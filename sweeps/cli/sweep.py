"""`fsamc sweep`."""

from __future__ import annotations

import inspect
from typing import Any

from typer.models import ParameterInfo

from sweeps.cli.options import console, quiet_ray
from sweeps.request import Request


def sweep(**arguments: Any) -> None:
    """Run a plan: score its configurations on every fold.

    Writes tables, an MLflow experiment and a report to OUT, and goes on there after a kill.

    Where OUT holds a sweep, PLAN and --data may be left out: the sweep there goes on, on what it ran on.
    """
    quiet_ray()
    from sweeps.sweep import run_sweep

    run_sweep(Request(**arguments), console)


def _signature() -> inspect.Signature:
    """Return the fields of `Request` that are arguments of the command: those with an annotation of Typer's."""
    signature = inspect.signature(Request, eval_str=True)
    arguments = [
        parameter
        for parameter in signature.parameters.values()
        if any(isinstance(note, ParameterInfo) for note in getattr(parameter.annotation, "__metadata__", ()))
    ]
    return signature.replace(parameters=arguments)


sweep.__signature__ = _signature()  # type: ignore[attr-defined]  # Typer reads it
