"""A contact sheet of pseudo-defects, to see whether they lie on the object and look like defects."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from fsamc.pseudo.defects import MaskSource, PseudoDefects
from fsamc.pseudo.foreground import ImageArray, Images, Mask

_CELL, _GAP, _HEADER = 224, 6, 22
_INK, _PAPER, _OUTLINE = (30, 30, 30), (255, 255, 255), (255, 0, 80)


def preview_sheet(pseudo: PseudoDefects, sources: Images, foregrounds: MaskSource, *, rows: int) -> ImageArray:
    """Draw a sheet, uint8 [H, W, 3], with a row per pseudo-class: source, foreground, mask, result.

    With more rows than pseudo-classes, further images of each follow; with fewer, the last classes are left out.
    """
    shown = _in_turn(pseudo, rows)
    width, height = 4 * (_CELL + _GAP) + _GAP, _CELL + _HEADER + _GAP
    sheet = Picture.new("RGB", (width, height * len(shown) + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for row, index in enumerate(shown):
        source = int(pseudo.sources[index])
        pen.text((_GAP, row * height + 4), _caption(pseudo, index, foregrounds[source]), fill=_INK, font=font)
        cells = _cells(sources[source], foregrounds[source], pseudo.masks[index], pseudo.images[index])
        for column, cell in enumerate(cells):
            picture = Picture.fromarray(cell).resize((_CELL, _CELL))
            sheet.paste(picture, (_GAP + column * (_CELL + _GAP), row * height + _HEADER))
    return np.asarray(sheet)


def _in_turn(pseudo: PseudoDefects, rows: int) -> list[int]:
    """Return the first image of each pseudo-class, then the second of each, and so on."""
    per_class = len(pseudo) // len(pseudo.classes)
    order = np.arange(len(pseudo)).reshape(len(pseudo.classes), per_class).T.ravel()
    return [int(index) for index in order[:rows]]


def _caption(pseudo: PseudoDefects, index: int, foreground: Mask) -> str:
    share = pseudo.masks[index].sum() / foreground.sum()
    name = pseudo.classes[int(pseudo.labels[index])]
    return (
        f"{name}   good image {pseudo.sources[index]}, foreground {foreground.mean():.0%} of it, "
        f"mask {share:.0%} of the foreground, beta {pseudo.betas[index]:.2f}"
    )


def _cells(source: ImageArray, foreground: Mask, mask: Mask, result: ImageArray) -> tuple[ImageArray, ...]:
    outlined = source.copy()
    inside = cv2.erode(foreground.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=0).astype(bool)
    outlined[foreground & ~inside] = _OUTLINE
    return source, outlined, np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=2), result
