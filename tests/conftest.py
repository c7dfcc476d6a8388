"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real images, textures and a real backbone beside the checkout; skips where it is not."""
    if not (SHARED / "datasets").is_dir():
        pytest.skip(f"needs the real images in {SHARED}")
    return SHARED


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium that keeps to itself (playwright's `Browser`); skips where none is installed."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install playwright")
    quiet = ["quic", "background-networking", "component-update", "sync", "gpu"]
    words = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=found, args=words, timeout=120_000)
        yield chromium
        chromium.close()
