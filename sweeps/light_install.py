"""Light installs: method, classifiers and command line without the extra `sweep`, which other commands ask for."""

from __future__ import annotations

from importlib.util import find_spec

from fsamc.errors import BadInput

OF_SWEEPS = ("ray", "mlflow", "optuna")  # packages of the extra by which a user knows it
_BROUGHT_ALONG = ("cmaes", "faiss", "grpc", "sqlalchemy")


def left_out(module: str | None) -> str | None:
    """Say what to install for a module that cannot be imported; None for one that is not of the extra."""
    package = (module or "").partition(".")[0]
    if package not in (*OF_SWEEPS, *_BROUGHT_ALONG):
        return None
    return f"this takes {package}, which is not installed here; pip install 'fsamc[sweep]'"


def check_installed(package: str, option: str) -> None:
    """Raise BadInput where an option takes a package of the extra that is not installed."""
    if find_spec(package) is None:
        raise BadInput(f"{option}: {left_out(package)}")
