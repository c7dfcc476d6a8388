"""Base of heads that compare a query with every image of the support."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence

from torch import Tensor

from fsamc.heads.base import Head
from fsamc.heads.sphere import on_sphere
from fsamc.representation.represented import Represented


class FittedHead(Head):
    """An image is one vector, and a class all of its support images, to which `against` is fitted.

    Classes may have different numbers of images. Each class counts alike then, as if every image of a small class came
    several times, and none is favoured for being large.
    """

    def encode(self, batch: Represented) -> Tensor:
        """Return one vector an image, [B, D + R]."""
        return on_sphere(batch)

    def represent(self, encoded: Tensor) -> Tensor:
        """Return all of a class's support images [S, E]."""
        return encoded

    @abstractmethod
    def against(self, support: Sequence[Tensor]) -> Callable[[Tensor], Tensor]:
        """Fit to images of the classes [S_c, E]; return what compares queries [Q, E] with them, [Q, C]."""

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Fit to images of the classes [S_c, E], and compare queries [Q, E] with them: [Q, C]."""
        return self.against(support)(queries)
