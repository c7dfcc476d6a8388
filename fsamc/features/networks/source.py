"""The protocol of a network's source. Loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from fsamc.data.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor

Maps = Callable[["Tensor"], Sequence["Tensor"]]


class NetworkSource(Protocol):
    """A network as `features` name it: what it is, and where its weights come from."""

    @property
    def identity(self) -> str:
        """What tells it from every other network: its kind, and its weights by name or content."""
        ...

    @property
    def file(self) -> str:
        """The file that it is read from, or its name where a library has it."""
        ...

    @property
    def origin(self) -> str:
        """Where the weights come from, and their licence, for people."""
        ...

    @property
    def preprocessing(self) -> Preprocessing:
        """How images become its input."""
        ...

    def load(self, device: str) -> Maps:
        """Load it: images float32 [B, 3, S, S] to maps [B, C, H, W], one for each of `features.layers`, in order.

        Raises BadInput for an unknown name, an unusable file, weights that cannot be had, or layers that it has not.
        """
        ...
