"""Silence of other libraries' loggers, where what they would say is known or is told otherwise."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logger_from(name: str, level: int) -> Iterator[None]:
    """Let a logger tell only what is of this level or above inside the block, and put back what was."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
