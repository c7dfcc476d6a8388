from __future__ import annotations

import pytest


@pytest.fixture
def write(tmp_path):
    """Write a plan's text to a file, and return its path."""

    def write(text: str, name: str = "plan.yaml") -> str:
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write
