"""What runs were made with."""

from __future__ import annotations

from importlib.metadata import version

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
