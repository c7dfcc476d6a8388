from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sweeps.asleep import folds_that_sleep


@pytest.fixture
def asleep() -> Iterator[None]:
    """Sweeps of this process have folds that answer at once."""
    with folds_that_sleep():
        yield
