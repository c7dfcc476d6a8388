"""Pseudo-classes: textures, or with polygon masks textures x numbers of sides (paper 3.5, appendix C)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fsamc.config.pseudo import Pseudo


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
