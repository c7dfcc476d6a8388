"""A job's log as it grows, over a connection that may break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from ray.job_submission import JobDetails, JobSubmissionClient

from cluster.jobs.job_server import reason_of

SILENCE = 60.0  # seconds without a line after which the connection is made anew: one that is gone says nothing
PATIENCE = 60.0  # seconds for which the job server may be away
_PAUSE = 1.0


def follow(
    client: JobSubmissionClient, submission_id: str, write: Callable[[str], object], *, patience: float = PATIENCE
) -> JobDetails:
    """Hand a job's log to `write` as it grows, each character once, until the job has ended; what it ended as.

    Raises ConnectionError if the job server is away for longer than `patience` seconds. The job may well go on.
    """
    log, lost, breaks = _Log(write), None, 0
    while True:
        whole = _read(log, client, submission_id)
        try:
            job = client.get_job_info(submission_id)
        except Exception as error:  # Ray and both its HTTP clients raise many types
            lost = lost or time.monotonic()
            if time.monotonic() - lost > patience:
                raise ConnectionError(reason_of(error)) from error
        else:
            lost = None
            if job.status.is_terminal():
                breaks += not whole
                if whole or breaks > 3:  # the log may be gone with its node
                    return job
        time.sleep(_PAUSE)


def _read(log: _Log, client: JobSubmissionClient, submission_id: str) -> bool:
    """Read until the server says that this was all, or the connection breaks; whether it was all."""
    try:
        asyncio.run(log.read(client, submission_id))
    except Exception as error:  # what matters is what the job server says of the job, which is asked next
        if error is log.unwritten:
            raise
        return False
    return True


class _Log:
    """How much of a log has been handed on: every connection gives it from its beginning.

    Attributes:
        unwritten: what was raised where the log is written to, which is no trouble of the connection.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._seen = 0
        self.unwritten: Exception | None = None

    async def read(self, client: JobSubmissionClient, submission_id: str) -> None:
        pieces, position = client.tail_job_logs(submission_id), 0
        while True:
            try:
                piece = await asyncio.wait_for(anext(pieces), SILENCE)
            except StopAsyncIteration:
                return
            new = piece[max(0, self._seen - position) :]
            position += len(piece)
            self._seen = max(self._seen, position)
            try:
                self._write(new)
            except Exception as error:
                self.unwritten = error
                raise
