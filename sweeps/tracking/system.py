"""System metrics: what the machine does while a sweep runs. The one thing that is not kept in OUT."""

from __future__ import annotations

from contextlib import suppress

from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from fsamc.deadline import within
from sweeps.tracking.runs import TrackedRun


class SystemMetrics:
    """MLflow's own monitor of processor, memory, disk, network and GPUs, on the machine of the driver."""

    def __init__(self, uri: str, deadline: float) -> None:
        self._uri, self._deadline = uri, deadline
        self._monitor: SystemMetricsMonitor | None = None

    def measure(self, run: TrackedRun, *, anew: bool) -> None:
        """Measure from now on; `anew` after MLflow was away, which the monitor does not outlive."""
        if anew:
            self.stop()
        if self._monitor is None:
            self._monitor = SystemMetricsMonitor(run.run_id, resume_logging=True, tracking_uri=self._uri)
            self._monitor.start()

    def stop(self) -> None:
        """Log what was measured, as far as MLflow takes it within the deadline, and measure no longer."""
        if self._monitor is not None:
            with suppress(TimeoutError):
                within(self._deadline, self._monitor.finish, f"system metrics of {self._uri}")
        self._monitor = None
