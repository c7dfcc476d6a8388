"""The contrastive classifier pretrained by MAML (paper, appendix G)."""

from __future__ import annotations

from typing import ClassVar

from fsamc.heads.contrastive import ContrastiveHead


class MamlHead(ContrastiveHead):
    """The same network and the same fine-tuning; pretraining looks for weights that one step adapts (`fsamc.meta`)."""

    meta: ClassVar[bool] = True
