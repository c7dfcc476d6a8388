"""Versions that runs were made with."""

from __future__ import annotations

from functools import cache
from importlib.metadata import distributions

_PACKAGES = {"fsamc", "torch", "torchvision", "ray", "faiss-gpu", "faiss-cpu", "optuna", "mlflow", "numpy"}


@cache  # a look at every package that is installed takes a while
def installed_versions() -> dict[str, str]:
    """Return the installed versions of the packages that numbers may depend on."""
    return {one.name: one.version for one in distributions() if one.name in _PACKAGES}
