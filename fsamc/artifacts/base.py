"""The protocol of an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fsamc.config.compute import Compute
from fsamc.data.category import Category
from fsamc.store.store import Buildable


class Artifact(Buildable, Protocol):
    """What folds share: computed once, kept in the store, and small enough to send to the process that builds it."""

    @property
    def category(self) -> Category:
        """The category that it is about."""
        ...

    @property
    def compute(self) -> Compute:
        """The device and the threads that its arithmetic runs on."""
        ...

    @property
    def nbytes(self) -> int:
        """Size on disk in bytes, roughly. Loads the backbone, which says how many patches an image has."""
        ...

    @property
    def served_by(self) -> tuple[str, int] | None:
        """The (category, seed) whose actor serves its arrays from memory; None for files, which workers map."""
        ...

    def needs(self) -> Sequence[Artifact]:
        """Return the artifacts that `build` reads."""
        ...
