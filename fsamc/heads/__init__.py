"""The heads: what turns residual maps into a class. One file each, behind `fsamc.heads.base.Head`.

A new head is one file with a subclass of `Head` and one line here. `direct` alone looks at images instead.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """What is known of a head without loading it, and so without torch."""

    path: str  # module:class
    trained: bool  # whether it learns from pseudo-defects and from the support
    sees: str = "maps"  # `maps`, or `images`: then there is no bank and nothing to pretrain on


HEADS = {
    "contrastive": Entry("fsamc.heads.contrastive:ContrastiveHead", trained=True),
    "direct": Entry("fsamc.heads.direct:DirectClassifier", trained=False, sees="images"),
    "maml": Entry("fsamc.heads.maml:MamlHead", trained=True),
    "matchingnet": Entry("fsamc.heads.matchingnet:MatchingHead", trained=True),
    "protonet": Entry("fsamc.heads.protonet:PrototypicalHead", trained=True),
    "prototype": Entry("fsamc.heads.prototype:PrototypeHead", trained=False),
    "siamese": Entry("fsamc.heads.siamese:SiameseHead", trained=True),
    "vanilla": Entry("fsamc.heads.vanilla:VanillaHead", trained=True),
}
