"""Jobs on a Ray cluster: handing one over, and the plain `ray job` lines that do the same and what comes after."""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from cluster.jobs.job_server import VARIABLES, overridden

NAME = "fsamc"  # the key of a job's metadata under which `ray job list` shows the sweep's name
_STARTING = "No available agent"  # what a job server says before the head's agent has told it of itself
# Seconds between SIGTERM and SIGKILL when a job is stopped: the folds that run are to be finished, and tables written.
# The job's supervisor reads it from the job's own environment, and takes 3 where it is not there.
_STOPPING = {"RAY_JOB_STOP_WAIT_TIME_S": "900"}


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a cluster is to run.

    Attributes:
        entrypoint: the command's words, run on the head in the working directory.
        working_dir: the folder that is packaged.
        metadata: what others may see of the job; never anything secret.
    """

    entrypoint: Sequence[str]
    working_dir: Path
    metadata: Mapping[str, str]

    def line(self, address: str) -> str:
        """Return the plain command that hands over the same job."""
        options = {
            "--working-dir": str(self.working_dir),
            "--runtime-env-json": json.dumps({"env_vars": _STOPPING}),
            "--metadata-json": json.dumps(dict(self.metadata)),
        }
        words = [word for option in options.items() for word in option]
        return _line(address, "submit", *words, "--", *self.entrypoint)

    def submit(self, client: JobSubmissionClient, submission_id: str, *, patience: float = 60.0) -> None:
        """Hand the job over; to a head that is still starting, again for `patience` seconds.

        Raises RuntimeError if the cluster does not take it.
        """
        end = time.monotonic() + patience
        while True:
            try:
                self._submit(client, submission_id)
            except RuntimeError as error:
                if _STARTING not in str(error) or time.monotonic() > end:
                    raise
                time.sleep(1.0)
            else:
                return

    def _submit(self, client: JobSubmissionClient, submission_id: str) -> None:
        runtime_env: dict[str, Any] = {"working_dir": str(self.working_dir), "env_vars": _STOPPING}
        client.submit_job(
            entrypoint=shlex.join(self.entrypoint),
            submission_id=submission_id,
            runtime_env=runtime_env,
            metadata=dict(self.metadata),
        )


def next_lines(address: str, submission_id: str) -> tuple[str, str, str]:
    """Return the commands that show a job's log until it ends, stop it in good order, and list all jobs."""
    return (
        _line(address, "logs", "--follow", submission_id),
        _line(address, "stop", submission_id),
        _line(address, "list"),
    )


def _line(address: str, command: str, *words: str) -> str:
    plain = shlex.join(["ray", "job", command, "--address", address, *words])
    return f"{VARIABLES[0]}={shlex.quote(address)} {plain}" if overridden(address) else plain


def outcome(job: JobDetails) -> tuple[int, str]:
    """Return the exit code for a job that has ended, and a line where its log does not say why."""
    if job.status == JobStatus.SUCCEEDED:
        return 0, ""
    if job.status == JobStatus.STOPPED:
        return 1, f"{job.submission_id} was stopped; what is finished is kept, and the same command goes on"
    if job.driver_exit_code in (1, 2):
        return job.driver_exit_code, ""
    reason = " ".join((job.message or "its process is gone").split())[:300]
    return 1, f"{job.submission_id} has died: {reason}; what is finished is kept, and the same command goes on"
