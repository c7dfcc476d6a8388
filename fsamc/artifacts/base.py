"""The protocol of an artifact, and the base of those whose arrays are computed at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from fsamc.config.compute import Compute
from fsamc.data.category import Category
from fsamc.store.arrays import save_array
from fsamc.store.store import Arrays, Buildable, Store


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


class Computed(ABC):
    """Base of artifacts whose arrays fit into memory: computed on the threads that are configured, then written."""

    @property
    @abstractmethod
    def compute(self) -> Compute:
        """The device and the threads that its arithmetic runs on."""

    @property
    def served_by(self) -> tuple[str, int] | None:
        """No actor, mostly: workers map the files."""
        return None

    @abstractmethod
    def arrays(self, store: Store) -> Arrays:
        """Compute the arrays, by name; `store` has what they need, or builds it."""

    def build(self, store: Store, into: Path) -> None:
        """Compute the arrays and write them."""
        from fsamc.hardware import threads  # here and in artifacts, because whoever schedules folds loads no torch

        with threads(self.compute):
            arrays = self.arrays(store)
        for name, array in arrays.items():
            save_array(into / f"{name}.npy", array)
