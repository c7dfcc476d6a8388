"""The heads: what turns residual maps into a class. One file each, behind `fsamc.heads.base.Head`.

A new head is one file with a subclass of `Head` and one line here.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """Where a head's class is, and whether it learns: known without loading it, and so without torch."""

    path: str
    trained: bool


HEADS = {
    "contrastive": Entry("fsamc.heads.contrastive:ContrastiveHead", trained=True),
    "prototype": Entry("fsamc.heads.prototype:PrototypeHead", trained=False),
}
