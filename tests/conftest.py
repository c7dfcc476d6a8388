"""Fixtures that every test may use."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.sweeps.small import Lab

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole sweeps come first: two processes share the short tests out evenly, and one sets up what a file shares."""
    items.sort(key=lambda item: "whole" not in item.path.parts)


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


@pytest.fixture(scope="session")
def materials(tmp_path_factory) -> Path:
    """The files of small sweeps, which nobody should change: `data`, `textures`, `tiny.pt2`."""
    from tests.sweeps.small import write_materials  # here, because it loads MLflow

    return write_materials(tmp_path_factory.mktemp("materials"))


@pytest.fixture
def lab(materials: Path, tmp_path: Path) -> Lab:
    """These files, and an empty folder for what sweeps leave."""
    from tests.sweeps.small import Lab

    return Lab(materials / "data", materials / "textures", materials / "tiny.pt2", tmp_path)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a disk with the options given."""
    place = tmp_path / "disk"

    def mount(options: str) -> Path:
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        found = subprocess.run(command, capture_output=True, text=True, check=False) if shutil.which("mount") else None
        if found is None or found.returncode:
            pytest.skip(f"cannot mount a disk: {found.stderr if found else 'no mount here'}")
        return place

    yield mount
    if place.exists():
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
