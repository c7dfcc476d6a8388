"""MLflow: what OUT holds, delivered once each; an experiment per plan, a parent run per sweep, a child per trial."""

from sweeps.commit import commit
from sweeps.tracking.beside import Courier, runs_at, track
from sweeps.tracking.versions import versions

__all__ = ["Courier", "commit", "runs_at", "track", "versions"]
