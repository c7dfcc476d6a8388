"""Pages of MLflow that show a sweep's runs, and MLflow's own server on this machine for those in a database."""

from __future__ import annotations

import os
import shlex
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from fsamc.errors import BadInput
from sweeps.plan.load import load_plan
from sweeps.tracking.background import check_started, runs_at
from sweeps.tracking.uri import check_tracking, database_of, open_client
from sweeps.tracking.views import address

_HERE = "127.0.0.1"


def runs_page(out: Path) -> tuple[str, str]:
    """Return where a sweep's runs are kept, and the page that shows them, to follow a server's address.

    Raises BadInput where `out` holds no sweep, nothing was delivered, or MLflow cannot be reached.
    """
    check_started(out)
    plan, uri = load_plan(str(out / "plan.yaml")), runs_at(out)
    mend = f"deliver the runs: fsamc track {shlex.quote(str(out))}"
    if (database := database_of(uri)) and not database.exists():
        raise BadInput(f"{database}: no such file; {mend}")
    deadline = plan.resources.deadline
    check_tracking(uri, plan.name, deadline=deadline)
    experiment = open_client(uri, deadline=deadline).get_experiment_by_name(plan.name)
    if experiment is None:
        raise BadInput(f"{uri}: has no experiment {plan.name}; {mend}")
    return uri, address(str(experiment.experiment_id))


def serve(uri: str, port: int, ready: Callable[[], object]) -> NoReturn:
    """Become MLflow's server on this machine only, until it is interrupted; `ready` is called before.

    Raises BadInput where the port is taken.
    """
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((_HERE, port))
        except OSError as error:
            raise BadInput(f"--port {port}: cannot be used ({error.strerror}); give another") from None
    ready()
    sys.stdout.flush()
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    words = ["-m", "mlflow", "ui", "--host", _HERE, "--port", str(port), "--backend-store-uri", uri]
    os.execv(sys.executable, [sys.executable, *words])
