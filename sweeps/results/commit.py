"""Commit of the code."""

from __future__ import annotations

import subprocess
from pathlib import Path

COMMIT = "commit.txt"  # beside the packages in a job, which has no working copy


def commit() -> str | None:
    """Name the commit of the working copy that this file lies in, or was sent from; None where there is none."""
    here = Path(__file__).parent
    if (sent := here.parent / COMMIT).is_file():
        return sent.read_text().strip() or None
    told = subprocess.run(["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return told.stdout.strip() if told.returncode == 0 else None
