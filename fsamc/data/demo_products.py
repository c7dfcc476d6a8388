"""A procedural factory: three products and what can go wrong with them, for demos and tests.

Pictures are float64 [H, W, 3] RGB in [0, 1] until they are photographed. Masks are bool [H, W].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

Generator = np.random.Generator
Defect = Callable[["Scene", Generator], np.ndarray]


@dataclass(frozen=True)
class Scene:
    """A part before the camera; a defect paints on `pixels` and returns the mask of what it changed.

    `foreground` bool [H, W] is the part; `bare` and `behind` show where print wears off and where the part is broken.
    """

    pixels: np.ndarray
    foreground: np.ndarray
    bare: np.ndarray
    behind: np.ndarray


@dataclass(frozen=True)
class Product:
    """How one category's parts look, their defects, and how their pictures are stored."""

    render: Callable[[Generator], Scene]
    defects: dict[str, Defect]
    suffix: str
    grey: bool = False
    exposures: int = 1  # pictures of each physical part


def photograph(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a picture uint8 [H, W, 3]: uneven light, exposure, a touch of blur, sensor noise."""
    height, width = scene.pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    slope = random.uniform(-0.06, 0.06, 2)
    light = random.uniform(0.92, 1.06) * (1 + slope[0] * y + slope[1] * x)
    sharp = cv2.GaussianBlur(scene.pixels, (0, 0), random.uniform(0.4, 0.7))
    noisy = sharp * light[..., None] + random.normal(0, 0.012, (height, width, 1))
    return (noisy.clip(0, 1) * 255).round().astype(np.uint8)


def smooth_noise(random: Generator, height: int, width: int, along_x: float, along_y: float) -> np.ndarray:
    """Return blurred white noise [H, W] of mean 0 and deviation 1; sigmas in pixels."""
    noise = cv2.GaussianBlur(random.standard_normal((height, width)), (0, 0), sigmaX=along_x, sigmaY=along_y)
    return (noise - noise.mean()) / noise.std()


def metal_plate(random: Generator, size: int = 208) -> Scene:
    """Draw a brushed plate with two drilled holes."""
    brushed = 0.035 * smooth_noise(random, size, size, 50, 0.6) + 0.02 * smooth_noise(random, size, size, 12, 0.6)
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), random.uniform(-4, 4), 1.0)
    steel = 0.6 + cv2.warpAffine(brushed, turn, (size, size), borderMode=cv2.BORDER_REFLECT)
    pixels = steel[..., None] * np.array([0.96, 1.0, 1.05])
    shift = random.uniform(-4, 4, 2)
    y, x = np.mgrid[:size, :size] - size / 2 - shift[:, None, None]
    to_hole = np.hypot(y, np.abs(x) - 0.34 * size)
    _blend(pixels, to_hole < 15, (0.80, 0.83, 0.86), 0.8)
    _blend(pixels, to_hole < 12, (0.10, 0.10, 0.11), 1.0)
    return Scene(pixels, to_hole >= 15, pixels.copy(), pixels.copy())


def fabric(random: Generator, height: int = 176, width: int = 224) -> Scene:
    """Draw a plain weave: threads of slightly different tone, going over and under in turn."""
    y, x = np.mgrid[:height, :width].astype(float)
    angle = np.deg2rad(random.uniform(-3, 3))
    sway = [1.2 * smooth_noise(random, height, width, 30, 30) for _ in range(2)]
    across = (x * np.cos(angle) + y * np.sin(angle) + sway[0] + random.uniform(0, 8)) / 8 + 8
    down = (y * np.cos(angle) - x * np.sin(angle) + sway[1] + random.uniform(0, 8)) / 8 + 8
    warp, weft = across.astype(int), down.astype(int)
    tone = random.normal(0, 0.03, (2, 64))
    over = (warp + weft) % 2 == 0
    lengthwise = np.sin(np.pi * (across % 1)) * (0.75 + 0.25 * np.sin(np.pi * (down % 1))) + tone[0][warp]
    crosswise = np.sin(np.pi * (down % 1)) * (0.75 + 0.25 * np.sin(np.pi * (across % 1))) + tone[1][weft]
    cloth = 0.3 + 0.32 * np.where(over, lengthwise, crosswise) + 0.015 * smooth_noise(random, height, width, 1, 1)
    pixels = np.repeat(cloth[..., None], 3, axis=2)
    return Scene(pixels, np.ones((height, width), dtype=bool), pixels.copy(), np.full_like(pixels, 0.05))


def bottle_cap(random: Generator, size: int = 192) -> Scene:
    """Draw a fluted red cap with a printed ring and star, lying on a plain belt at any angle."""
    belt = (0.72 + 0.006 * smooth_noise(random, size, size, 6, 6))[..., None] * np.array([0.94, 0.99, 1.0])
    centre = size / 2 + random.uniform(-5, 5, 2)
    turn, radius = random.uniform(0, 2 * np.pi), size * random.uniform(0.375, 0.39)
    y, x = np.mgrid[:size, :size] - centre[::-1, None, None]
    distance, direction = np.hypot(y, x), np.arctan2(y, x) + turn
    edge = radius * (1 + 0.02 * np.cos(36 * direction))
    behind = belt.copy()
    _blend(behind, np.hypot(y - 5, x - 5) < edge, (0.35, 0.37, 0.38), 0.6, soft=4)
    flutes = np.where(distance > 0.82 * radius, 0.16 * np.cos(36 * direction) - 0.08, 0.0)
    shine = 0.12 * np.exp(-((x + 0.3 * radius) ** 2 + (y + 0.35 * radius) ** 2) / (0.35 * radius) ** 2)
    red = np.array([0.72, 0.13, 0.12]) * (1 + flutes + 0.02 * smooth_noise(random, size, size, 8, 8))[..., None]
    bare = behind.copy()
    _blend(bare, distance < edge, red + shine[..., None], 1.0, soft=0.6)
    pixels = bare.copy()
    star = distance < radius * (0.28 + 0.13 * np.cos(5 * direction))
    ring = np.abs(distance - 0.66 * radius) < 0.035 * radius
    _blend(pixels, star | ring, (0.93, 0.92, 0.88), 0.95, soft=0.6)
    return Scene(pixels, distance < edge, bare, behind)


def scratch(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a thin bent groove, bright on one flank and dark on the other."""
    size = min(scene.pixels.shape[:2])
    heading, length = random.uniform(0, 2 * np.pi), random.uniform(0.12, 0.45) * size
    bend = np.cumsum(random.normal(0, 0.07, 24))
    steps = np.stack([np.cos(heading + bend), np.sin(heading + bend)], axis=1) * length / 24
    path = np.cumsum(steps, axis=0) - steps.sum(axis=0) / 2 + _spot(scene, random, margin=length / 3)
    groove = _polyline(scene, path, thickness=int(random.integers(1, 3)))
    flank = np.roll(groove, 1, axis=0) & ~groove
    strength = random.uniform(0.2, 0.6)
    _blend(scene.pixels, groove & scene.foreground, (0.12, 0.11, 0.11), strength)
    _blend(scene.pixels, flank & scene.foreground, (0.97, 0.96, 0.94), strength)
    return (groove | flank) & scene.foreground


def dent(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a shallow hollow: one side in shade, the other catching the light."""
    y, x = _offsets(scene, _spot(scene, random, margin=24))
    radius, oblong = random.uniform(7, 16), random.uniform(0.7, 1.4)
    hollow = np.exp(-((x * oblong) ** 2 + (y / oblong) ** 2) / (2 * (radius / 2) ** 2))
    shade = random.uniform(0.10, 0.32) * (x + y) / radius * hollow
    _blend(scene.pixels, scene.foreground, scene.pixels + shade[..., None], 1.0)
    return (hollow > 0.2) & scene.foreground


def stain(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a translucent oily patch with a darker rim."""
    patch = _blob(scene, random, random.uniform(7, 24)) & scene.foreground
    rim = patch & _grown(~patch, 2)
    strength = random.uniform(0.3, 0.9)
    oily = scene.pixels * np.array([0.70, 0.60, 0.48])
    _blend(scene.pixels, patch, oily, strength, soft=1.5)
    _blend(scene.pixels, rim, oily * 0.6, strength / 2, soft=1.0)
    return patch


def pitting(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a cluster of small dark pits."""
    centre = _spot(scene, random, margin=26)
    pits = np.zeros(scene.foreground.shape, dtype=bool)
    for offset in random.normal(0, random.uniform(7, 13), (random.integers(3, 12), 2)):
        pits |= _blob(scene, random, random.uniform(1.0, 2.8), centre + offset) & scene.foreground
    _blend(scene.pixels, np.roll(pits, (1, 1), axis=(0, 1)), (0.9, 0.9, 0.9), 0.3, soft=0.5)
    _blend(scene.pixels, pits, (0.15, 0.12, 0.10), random.uniform(0.4, 0.8), soft=0.5)
    return pits


def tear(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a ragged hole with pale, frayed edges."""
    hole = _blob(scene, random, random.uniform(3, 12), ragged=0.45)
    frayed = _grown(hole, 4) & (smooth_noise(random, hole.shape[0], hole.shape[1], 1.2, 1.2) > -0.2)
    _blend(scene.pixels, frayed, (0.85, 0.85, 0.85), 0.75, soft=0.6)
    _blend(scene.pixels, hole, scene.behind, 0.95, soft=0.8)
    return hole | frayed


def pulled_thread(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a thick pale thread lying loose over the weave, with its shadow."""
    height, width = scene.foreground.shape
    start = _spot(scene, random, margin=30)
    upright = random.random() < 0.5
    along = np.linspace(0, 1, 40) * random.uniform(0.35, 0.7) * (height if upright else width)
    across = np.cumsum(np.cumsum(random.normal(0, 0.09, 40)))
    path = start + (
        np.stack([across, along - along[-1] / 2], 1) if upright else np.stack([along - along[-1] / 2, across], 1)
    )
    thread = _polyline(scene, path, thickness=int(random.integers(3, 6)))
    _blend(scene.pixels, np.roll(thread, (2, 2), axis=(0, 1)), (0.12, 0.12, 0.12), 0.6, soft=1.0)
    _blend(scene.pixels, thread, (0.78, 0.78, 0.78), random.uniform(0.6, 0.9), soft=0.6)
    return thread


def missing_thread(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a gap straight along the weave, from edge to edge, where a thread ran out."""
    height, width = scene.foreground.shape
    x, y = _spot(scene, random, margin=20)
    tilt, half = np.deg2rad(random.uniform(-2, 2)), random.uniform(2.0, 4.5)
    rows, columns = np.mgrid[:height, :width]
    offset = (columns - x - tilt * rows) if random.random() < 0.5 else (rows - y - tilt * columns)
    gap = np.abs(offset + 0.8 * smooth_noise(random, height, width, 15, 15)) < half
    _blend(scene.pixels, gap, (0.16, 0.16, 0.16), random.uniform(0.5, 0.8), soft=0.8)
    return gap


def missing_print(scene: Scene, random: Generator) -> np.ndarray:
    """Print worn off down to the bare cap."""
    printed = np.abs(scene.pixels - scene.bare).max(axis=2) > 0.2
    worn = _blob(scene, random, random.uniform(8, 26), _choose(printed, random), ragged=0.3) & printed
    _blend(scene.pixels, worn, scene.bare, random.uniform(0.5, 1.0), soft=0.6)
    return worn


def chip(scene: Scene, random: Generator) -> np.ndarray:
    """Draw a piece broken out of the rim, the raw edge pale."""
    rim = scene.foreground & _grown(~scene.foreground, 3)
    piece = _blob(scene, random, random.uniform(5, 14), _choose(rim, random), ragged=0.35)
    raw = _grown(piece, 1) & scene.foreground
    _blend(scene.pixels, raw, (0.88, 0.55, 0.5), 0.7, soft=0.5)
    _blend(scene.pixels, piece & scene.foreground, scene.behind, 1.0, soft=0.5)
    return raw


def dirt(scene: Scene, random: Generator) -> np.ndarray:
    """Draw one to three dark crumbs."""
    crumbs = np.zeros(scene.foreground.shape, dtype=bool)
    for _ in range(random.integers(1, 4)):
        crumbs |= _blob(scene, random, random.uniform(2, 7), ragged=0.4) & scene.foreground
    _blend(scene.pixels, np.roll(crumbs, (2, 2), axis=(0, 1)), (0.2, 0.1, 0.1), 0.4, soft=1.0)
    _blend(scene.pixels, crumbs, (0.13, 0.10, 0.08), random.uniform(0.75, 0.95), soft=0.6)
    return crumbs


PRODUCTS = {
    "bottle_cap": Product(
        bottle_cap, {"chip": chip, "dirt": dirt, "missing_print": missing_print, "scratch": scratch}, ".png"
    ),
    "fabric": Product(
        fabric,
        {"missing_thread": missing_thread, "pulled_thread": pulled_thread, "stain": stain, "tear": tear},
        ".jpg",
        grey=True,
        exposures=2,
    ),
    "metal_plate": Product(metal_plate, {"dent": dent, "pitting": pitting, "scratch": scratch, "stain": stain}, ".jpg"),
}


def _choose(where: np.ndarray, random: Generator) -> np.ndarray:
    """Draw a random true pixel of a mask as (x, y)."""
    pixels = np.argwhere(where)
    return pixels[random.integers(len(pixels)), ::-1].astype(float)


def _spot(scene: Scene, random: Generator, *, margin: float = 0) -> np.ndarray:
    """Draw a random place (x, y) on the part, `margin` pixels from its edge where there is room."""
    padded = np.pad(scene.foreground, 1).astype(np.uint8)
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1]
    return _choose(depth > min(margin, 0.8 * depth.max()), random)


def _offsets(scene: Scene, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[: scene.foreground.shape[0], : scene.foreground.shape[1]]
    return y - centre[1], x - centre[0]


def _blob(
    scene: Scene, random: Generator, radius: float, centre: np.ndarray | None = None, *, ragged: float = 0.25
) -> np.ndarray:
    """Draw an irregular patch bool [H, W] of about this radius: a disc whose rim wanders by the share `ragged`."""
    y, x = _offsets(scene, _spot(scene, random, margin=radius) if centre is None else centre)
    direction = np.arctan2(y, x)
    rim = np.ones_like(direction)
    for waves in range(2, 7):
        rim += ragged * random.uniform(0, 1.2) / waves * np.cos(waves * direction + random.uniform(0, 2 * np.pi))
    stretch = random.uniform(0.75, 1.3)
    return np.asarray(np.hypot(x * stretch, y / stretch) < radius * rim)


def _polyline(scene: Scene, path: np.ndarray, *, thickness: int) -> np.ndarray:
    canvas = np.zeros(scene.foreground.shape, dtype=np.uint8)
    cv2.polylines(canvas, [path.round().astype(np.int32)], isClosed=False, color=1, thickness=thickness)
    return canvas.astype(bool)


def _grown(mask: np.ndarray, pixels: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * pixels + 1,) * 2, np.uint8)).astype(bool)


def _blend(
    pixels: np.ndarray,
    mask: np.ndarray,
    colour: tuple[float, float, float] | np.ndarray,
    opacity: float,
    *,
    soft: float = 0.5,
) -> None:
    """Paint a colour, or another picture, into `pixels` under a mask whose edge is blurred by `soft` pixels."""
    cover = opacity * cv2.GaussianBlur(mask.astype(np.float64), (0, 0), soft)[..., None]
    pixels += cover * (np.asarray(colour) - pixels)
