from __future__ import annotations

import pytest

from sweeps.tracking.uri import open_client
from tests.sweeps.small import copied_databases


@pytest.fixture(scope="session")
def uri(tmp_path_factory) -> str:
    """The database of all these tests: each has an experiment or a sweep of its own."""
    address = f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'runs.db'}"
    with copied_databases():
        open_client(address)
    return address
