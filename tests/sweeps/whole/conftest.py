from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from tests.sweeps.small import Lab


@pytest.fixture(scope="session")
def done(materials: Path, tmp_path_factory) -> Lab:
    """A lab in which a cold sweep with two workers has run into `reference`, from the cache `cache`."""
    root = tmp_path_factory.mktemp("sweeps")
    lab = Lab(materials / "data", materials / "textures", materials / "tiny.pt2", root)
    with redirect_stdout(io.StringIO()) as screen, redirect_stderr(io.StringIO()) as errors:
        lab.sweep(lab.plan(), "resources.workers=2", out="reference")
    (root / "screen").write_text(screen.getvalue())
    (root / "errors").write_text(errors.getvalue())
    return lab
