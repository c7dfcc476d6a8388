"""Log of a job as it grows, over a connection that may break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

from ray.job_submission import JobDetails, JobSubmissionClient

from cluster.jobs.job_server import reason_of

SILENCE = 60.0  # seconds without a line after which the connection is made anew: one that is gone says nothing
PATIENCE = 60.0  # seconds for which the job server may be away
_PAUSE = 1.0
_TORN = 3  # connections that may break once the job has ended: its log may be gone with its node


class _Broken(Exception):
    """The connection broke before the server said that this was all of the log."""


def follow(
    client: JobSubmissionClient, submission_id: str, write: Callable[[str], object], *, patience: float = PATIENCE
) -> JobDetails:
    """Hand a job's log to `write` as it grows, each character once; return what Ray says of the job once it has ended.

    Raises ConnectionError if the job server is away for longer than `patience` seconds. The job may well go on.
    """
    written, torn, end = 0, 0, float("inf")
    while True:
        position = 0  # every connection gives the log from its beginning
        try:
            for piece in _pieces(client, submission_id):
                write(piece[max(0, written - position) :])
                position += len(piece)
                written = max(written, position)
            whole = True
        except _Broken:
            whole = False
        try:
            job = client.get_job_info(submission_id)
        except Exception as error:  # Ray and both its HTTP clients raise many types
            end = min(end, time.monotonic() + patience)
            if time.monotonic() > end:
                raise ConnectionError(reason_of(error)) from error
        else:
            end = float("inf")
            torn += job.status.is_terminal() and not whole
            if job.status.is_terminal() and (whole or torn > _TORN):
                return job
        time.sleep(_PAUSE)


def _pieces(client: JobSubmissionClient, submission_id: str) -> Iterator[str]:
    """Yield the log of one connection. Raises _Broken."""
    with asyncio.Runner() as runner:
        pieces = client.tail_job_logs(submission_id)
        while True:
            try:
                piece = runner.run(asyncio.wait_for(anext(pieces), SILENCE))
            except StopAsyncIteration:
                return
            except Exception as error:  # what matters is what the job server says of the job, which is asked next
                raise _Broken from error
            yield piece
