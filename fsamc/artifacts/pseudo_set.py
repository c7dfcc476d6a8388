"""Patch features of a category's pseudo-defects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fsamc.artifacts.patch_features import PatchFeatures
from fsamc.config.features import Features
from fsamc.config.pseudo import Foreground, Pseudo
from fsamc.data.textures import Textures
from fsamc.features.squares import Squares, read_squares
from fsamc.pseudo.classes import PseudoClass, pseudo_classes
from fsamc.store.arrays import save_array
from fsamc.store.digests import digest
from fsamc.store.store import Store

if TYPE_CHECKING:
    from fsamc.pseudo.defects import PseudoDefect
    from fsamc.pseudo.foreground import Foregrounds, Images, Method

_POISSON = ("rate", "blur", "threshold")
_OTHER_MASKS = {  # settings that masks of a kind do not depend on
    "poisson": ("perlin", "polygon"),
    "perlin": ("polygon", *_POISSON),
    "polygon": ("perlin", "area", *_POISSON),
}


@dataclass(frozen=True, kw_only=True)
class PseudoSet(PatchFeatures):
    """Patch features of pseudo-defects (paper 3.5), class-major.

    `features` float16 [n, P, D], `labels` int64 [n], `sources` int64 [n]: the good image each was made from.
    The settings of `residual` are not part of it, since they say what is done with the features; nor those of masks
    of another kind.
    """

    kind: ClassVar[str] = "pseudo"
    textures: Textures
    pseudo: Pseudo

    @cached_property
    def key(self) -> str:
        """Hash of good images, textures, generation and feature settings, and the name that seeds the generation."""
        good = [self.category.digests[path] for path in self.category.train]
        chosen = self.textures.chosen(self.pseudo.textures_per_class)
        drawn = {name: [self.textures.digests[path] for path in paths] for name, paths in chosen.items()}
        settings = self.pseudo.model_dump(
            mode="json", exclude={"residual", "foreground", *_OTHER_MASKS[self.pseudo.mask]}
        )
        return digest(self.kind, 2, self.category.name, good, drawn, settings, self.foreground, *self._network)

    @property
    def about(self) -> str:
        """The category and how many pseudo-classes."""
        return f"{self.category.name}, {len(self.classes)} pseudo-classes"

    @property
    def n_pictures(self) -> int:
        """As many of each pseudo-class."""
        return self.pseudo.per_class * len(self.classes)

    @property
    def classes(self) -> tuple[PseudoClass, ...]:
        """The pseudo-classes; a label is a position among them."""
        return pseudo_classes(self.textures.classes, self.pseudo)

    @property
    def foreground(self) -> Foreground:
        """How the object is found in this category: a method, or `auto`."""
        chosen = self.pseudo.foreground
        return chosen.get(self.category.name, "auto") if isinstance(chosen, dict) else chosen

    def build(self, _store: Store, into: Path) -> None:
        """Paste textures on good images and extract features, one by one; the pictures themselves are not kept."""
        labels, sources = np.empty(self.n_pictures, np.int64), np.empty(self.n_pictures, np.int64)

        def pictures() -> Iterator[np.ndarray]:
            for row, defect in enumerate(self.defects()):
                labels[row], sources[row] = defect.label, defect.source
                yield defect.image

        self._extract(pictures(), into)
        save_array(into / "labels.npy", labels)
        save_array(into / "sources.npy", sources)

    def defects(self) -> Iterator[PseudoDefect]:
        """Yield the pseudo-defects as pictures, class after class."""
        from fsamc.pseudo.defects import defects

        good = self.good_squares()
        return defects(good, self.foregrounds(good), self.texture_squares(), self.pseudo, purpose=self.category.name)

    def preview(self, rows: int) -> tuple[np.ndarray, Method]:
        """Draw a sheet of the first `rows` pseudo-defects, uint8 [H, W, 3]; return also the foreground's method.

        It begins with the first pseudo-defect of each pseudo-class, and draws no more of them than it shows.
        """
        from fsamc.pseudo.defects import defects
        from fsamc.pseudo.preview import preview_sheet

        per_class = -(-rows // len(self.classes))
        pseudo = self.pseudo.model_copy(update={"per_class": per_class})
        good = self.good_squares()
        foregrounds = self.foregrounds(good)
        made = list(defects(good, foregrounds, self.texture_squares(), pseudo, purpose=self.category.name))
        classes = [one.name for one in self.classes]
        return preview_sheet(made, classes, good, foregrounds, rows=rows), foregrounds.method

    def foregrounds(self, good: Images) -> Foregrounds:
        """Return the object's masks in good images, each found at its first use."""
        from fsamc.pseudo.foreground import Foregrounds

        return Foregrounds(good, self.foreground_method(), self.pseudo.segmentation)

    def foreground_method(self) -> Method:
        """Return how the object is found: as configured, or for `auto` chosen from the first good images."""
        from fsamc.pseudo.foreground import choose_foreground

        if self.foreground != "auto":
            return self.foreground
        first = self.category.train[: self.pseudo.segmentation.sample]
        return choose_foreground(read_squares(self.category, first, self.features), self.pseudo.segmentation)

    def good_squares(self) -> Squares:
        """Return the good images, uint8 [S, S, 3] each, of which as few are read as are asked for."""
        return Squares(self.category, self.category.train, self.features)

    def texture_squares(self) -> dict[str, np.ndarray]:
        """Read each texture class's images, resized straight to uint8 [n, S, S, 3]."""
        straight = Features(size=self.features.size)
        chosen = self.textures.chosen(self.pseudo.textures_per_class)
        return {name: read_squares(self.textures, paths, straight) for name, paths in chosen.items()}
