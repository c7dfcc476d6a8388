"""Jobs on a Ray cluster: handing one over, and the plain `ray job submit` line that does the same."""

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
from fsamc.errors import BadInput

OURS = "fsamc"  # the key by which our jobs are known
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
        """The plain command that hands over the same job."""
        options = {
            "--address": address,
            "--working-dir": str(self.working_dir),
            "--runtime-env-json": json.dumps({"env_vars": _STOPPING}),
            "--metadata-json": json.dumps(dict(self.metadata)),
        }
        words = [word for option in options.items() for word in option]
        plain = shlex.join(["ray", "job", "submit", *words, "--", *self.entrypoint])
        return f"{VARIABLES[0]}={shlex.quote(address)} {plain}" if overridden(address) else plain

    def submit(self, client: JobSubmissionClient, submission_id: str, *, patience: float = 60.0) -> None:
        """Hand it over; to a head that is still starting, again for `patience` seconds.

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


def jobs(client: JobSubmissionClient, *, everybodys: bool) -> list[JobDetails]:
    """The jobs that the cluster remembers, the newest first: those of sweeps, or all."""
    found = [job for job in client.list_jobs() if everybodys or OURS in (job.metadata or {})]
    return sorted(found, key=lambda job: job.start_time or 0, reverse=True)


def find(client: JobSubmissionClient, submission_id: str) -> JobDetails:
    """What is known of a job. Raises BadInput if there is none of that name."""
    try:
        return client.get_job_info(submission_id)
    except RuntimeError as error:
        if "status code 404" not in str(error):
            raise
        raise BadInput(f"{submission_id}: the cluster knows no such job; `fsamc jobs list` lists them") from None


def outcome(job: JobDetails) -> tuple[int, str]:
    """How a job that has ended is told: the exit code, and a line where its log does not say why."""
    if job.status == JobStatus.SUCCEEDED:
        return 0, ""
    if job.status == JobStatus.STOPPED:
        return 1, f"{job.submission_id} was stopped; what is finished is kept, and the same command goes on"
    if job.driver_exit_code in (1, 2):
        return job.driver_exit_code, ""
    reason = " ".join((job.message or "its process is gone").split())[:300]
    return 1, f"{job.submission_id} has died: {reason}; what is finished is kept, and the same command goes on"
