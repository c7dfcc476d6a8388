from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sweeps.small import copied_databases


@pytest.fixture(autouse=True)
def _copied_databases() -> Iterator[None]:
    with copied_databases():
        yield
