"""How jobs are shown: a table of them, and the log of one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from datetime import datetime, timedelta

from ray.job_submission import JobDetails
from rich.table import Table

from cluster.jobs.submit import OURS


def job_table(jobs: Iterable[JobDetails]) -> Table:
    """A row per job, and nothing of its command: what others have submitted may hold secrets."""
    table = Table(box=None, header_style="bold")
    table.add_column("job", no_wrap=True)  # to be copied, so never cut
    for column in ("plan", "out", "status", "started", "duration"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        told = job.metadata or {}
        name = str(job.submission_id or job.job_id)
        table.add_row(name, told.get(OURS), told.get("out"), job.status.value.lower(), *_times(job))
    return table


def _times(job: JobDetails) -> tuple[str, str]:
    """When it started, in local time, and how long it has run; Ray counts milliseconds."""
    if not job.start_time:
        return "", ""
    started = job.start_time / 1000
    seconds = (job.end_time / 1000 if job.end_time else time.time()) - started
    return f"{datetime.fromtimestamp(started):%Y-%m-%d %H:%M}", str(timedelta(seconds=round(max(0.0, seconds))))


class Log:
    """Prints a job's log as it comes in pieces.

    Args:
        pure: whether only JSON may come to stdout. Then all other lines go to stderr: a job has one log for both.
    """

    def __init__(self, *, pure: bool = False) -> None:
        self._pure = pure
        self._torn = ""

    def __call__(self, piece: str) -> None:
        """Print a piece; where lines are looked at, as far as they are whole."""
        if not self._pure:
            print(piece, end="", flush=True)
            return
        *lines, self._torn = f"{self._torn}{piece}".split("\n")
        for line in lines:
            print(line, file=sys.stdout if line.startswith("{") else sys.stderr, flush=True)
