"""What runs were made with."""

from __future__ import annotations

import subprocess
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("fsamc", "torch", "torchvision", "ray", "faiss-gpu", "faiss-cpu", "optuna", "mlflow", "numpy")


def versions() -> dict[str, str]:
    """Installed versions of the packages that numbers may depend on."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except ImportError:
            continue
    return found


def commit() -> str | None:
    """The commit of the working copy that this file lies in; None where it lies in none."""
    here = Path(__file__).parent
    told = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else None
