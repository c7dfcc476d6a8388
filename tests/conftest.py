"""Fixtures that every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, textures and a real backbone beside the checkout; skips where it is not."""
    if not (SHARED / "datasets").is_dir():
        pytest.skip(f"needs the real images in {SHARED}")
    return SHARED
