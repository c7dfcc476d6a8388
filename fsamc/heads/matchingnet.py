"""Matching networks (Vinyals et al. 2016, without full-context embeddings) on residual maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from fsamc.heads.contrastive import ContrastiveHead
from fsamc.heads.sphere import cosine_by_class


class MatchingHead(ContrastiveHead):
    """Attention over all support images by cosine; a class is as likely as its images' attention together.

    The contrastive head's unit vectors and temperature; another representation of a class, and the support learns too.
    """

    support_learns: ClassVar[bool] = True

    def represent(self, encoded: Tensor) -> Tensor:
        """Return all of its support images [S, E], each to be attended to."""
        return encoded

    def relate(self, queries: Tensor, support: Sequence[Tensor]) -> Tensor:
        """Compare queries [Q, E] with images of the classes [S_c, E]: logits [Q, C].

        Their softmax is the summed attention: a softmax of cosine / temperature over all images. The log
        of a class's sum of it is, but for the query's common denominator, the logsumexp over the class's images.
        A class of more images than others is likelier by their number.
        """
        attention = cosine_by_class(queries, support, centre=self.settings.centre) / self.settings.temperature
        return attention.logsumexp(-1)
