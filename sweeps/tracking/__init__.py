"""MLflow: what OUT holds, delivered once each; an experiment per plan, a parent run per sweep, a child per trial."""

from sweeps.results.commit import commit
from sweeps.tracking.background import MlflowSync, runs_at, track
from sweeps.tracking.versions import installed_versions

__all__ = ["MlflowSync", "commit", "installed_versions", "runs_at", "track"]
