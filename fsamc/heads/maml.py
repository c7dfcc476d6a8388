"""Contrastive classifier pretrained by MAML (paper, appendix G)."""

from __future__ import annotations

from typing import ClassVar

from fsamc.heads.contrastive import ContrastiveHead


class MamlHead(ContrastiveHead):
    """The contrastive network and fine-tuning, pretrained for weights that one step adapts."""

    meta: ClassVar[bool] = True
