"""A contact sheet of pseudo-defects, to see whether they lie on the object and look like defects."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from fsamc.pseudo.defects import MaskSource, PseudoDefect
from fsamc.pseudo.foreground import ImageArray, Images, Mask

_CELL, _GAP, _HEADER = 224, 6, 22
_INK, _PAPER, _OUTLINE = (30, 30, 30), (255, 255, 255), (255, 0, 80)


def preview_sheet(
    pseudo: Sequence[PseudoDefect], classes: Sequence[str], sources: Images, foregrounds: MaskSource, *, rows: int
) -> ImageArray:
    """Draw a sheet, uint8 [H, W, 3], with a row per pseudo-class: source, foreground, mask, result.

    With more rows than pseudo-classes, further images of each follow; with fewer, the last classes are left out.

    Args:
        pseudo: as many of each pseudo-class, class after class.
        classes: their names.
        sources: the good images.
        foregrounds: where the object is in each of them.
        rows: of the sheet, at the most.
    """
    per_class = len(pseudo) // len(classes)
    shown = [one for number in range(per_class) for one in pseudo[number::per_class]][:rows]
    width, height = 4 * (_CELL + _GAP) + _GAP, _CELL + _HEADER + _GAP
    sheet = Picture.new("RGB", (width, height * len(shown) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, one in enumerate(shown):
        source, foreground = sources[one.source], foregrounds[one.source]
        pen.text((_GAP, row * height + 4), _caption(one, classes[one.label], foreground), fill=_INK, font=font)
        cells = _cells(source, foreground, one.mask, one.image)
        for column, cell in enumerate(cells):
            picture = Picture.fromarray(cell).resize((_CELL, _CELL))
            sheet.paste(picture, (_GAP + column * (_CELL + _GAP), row * height + _HEADER))
    return np.asarray(sheet)


def _caption(one: PseudoDefect, name: str, foreground: Mask) -> str:
    share = one.mask.sum() / foreground.sum()
    return (
        f"{name}   good image {one.source}, foreground {foreground.mean():.0%} of it, "
        f"mask {share:.0%} of the foreground, beta {one.beta:.2f}"
    )


def _cells(source: ImageArray, foreground: Mask, mask: Mask, result: ImageArray) -> tuple[ImageArray, ...]:
    outlined = source.copy()
    inside = cv2.erode(foreground.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    outlined[foreground & ~inside] = _OUTLINE
    return source, outlined, np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), result
