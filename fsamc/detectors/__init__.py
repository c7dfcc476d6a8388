"""The detectors: what would be normal at each patch. One file each, behind `fsamc.detectors.base.Detector`.

All work on the same frozen patch features, where the published ones have their own (paper 5: "any anomaly detection
algorithm similar to PatchCore"). A new detector is one file with a subclass of `Detector` and one line here.
"""

from __future__ import annotations

from typing import NamedTuple


class Entry(NamedTuple):
    """What is known of a detector without loading it, and so without torch."""

    path: str  # module:class
    learns: tuple[str, ...]  # the settings of `reference` that what it keeps depends on
    asks: tuple[str, ...] = ()  # those that only its answers depend on
    drawn: bool = True  # whether the seed changes anything


DETECTORS = {
    "cpr": Entry("fsamc.detectors.cpr:Cpr", ("words", "blocks"), ("images", "window")),
    "padim": Entry("fsamc.detectors.padim:Padim", ("channels", "ridge")),
    "patchcore": Entry("fsamc.detectors.patchcore:PatchCore", ("ratio", "projection", "starts")),
    "spade": Entry("fsamc.detectors.spade:Spade", (), ("images",), drawn=False),
}
