"""Pseudo-classes: textures, or with polygon masks textures x numbers of sides (paper 3.5, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fsamc.config.pseudo import Pseudo
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.heads import HEADS


@dataclass(frozen=True)
class PseudoClass:
    """A texture class, and where masks are polygons their number of sides."""

    texture: str
    sides: int | None = None

    @property
    def name(self) -> str:
        """The texture's, or `texture/sides`."""
        return self.texture if self.sides is None else f"{self.texture}/{self.sides}"


def pseudo_classes(textures: Iterable[str], pseudo: Pseudo) -> tuple[PseudoClass, ...]:
    """Return the pseudo-classes of some texture classes, texture after texture: a class's position is its label."""
    shapes = pseudo.polygon.sides if pseudo.mask == "polygon" else (None,)
    return tuple(PseudoClass(texture, sides) for texture in textures for sides in shapes)


def check_textures(textures: Textures, config: FoldConfig) -> None:
    """Raise BadInput if a texture class has too few images, or there are fewer pseudo-classes than are told apart.

    That is as many as a round of pretraining draws; two, where there is none.
    """
    textures.chosen(config.pseudo.textures_per_class)
    known = len(pseudo_classes(textures.classes, config.pseudo))
    if not (config.pretrain.enabled and HEADS[config.head.kind].trained):
        if known < 2:
            raise BadInput(f"objective pseudo tells pseudo-classes apart, but {textures.folder} makes {known}; add one")
        return
    if config.pretrain.pseudo_classes > known:
        polygons = f", with polygons {known} pseudo-classes" if config.pseudo.mask == "polygon" else ""
        raise BadInput(
            f"pretrain.pseudo_classes is {config.pretrain.pseudo_classes}, but {textures.folder} holds "
            f"{len(textures.classes)} texture classes{polygons}; lower it or add textures"
        )
