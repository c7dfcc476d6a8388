"""Demo data: categories in MVTec layout from a procedural factory, and textures in DTD layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from fsamc.data.demo_products import PRODUCTS, Generator, Product, photograph, smooth_noise
from fsamc.errors import BadInput
from fsamc.seeds import numpy_generator


def write_demo(
    folder: Path, *, seed: int = 0, train: int = 24, good: int = 6, per_class: int = 12, textures: int = 2
) -> None:
    """Write `folder/datasets/<category>/...` and `folder/textures/<class>/...`.

    Three categories of `train` and `good` defect-free images and four defect classes of `per_class` images with masks:
    a bottle cap on a belt (PNG), a fabric (grey JPEG, not square, two exposures of each piece and so a groups.csv) and
    a metal plate (JPEG). The same arguments write the same files; files of an earlier run are replaced.

    Raises BadInput if the folder cannot be written to.
    """
    try:
        for name, product in PRODUCTS.items():
            counts = {"train/good": train, "test/good": good} | {f"test/{x}": per_class for x in product.defects}
            for part, count in counts.items():
                _write_part(folder / "datasets" / name, part, count, product, seed)
            if product.exposures > 1:
                _write_groups(folder / "datasets" / name, counts, product)
        for name in TEXTURE_PATTERNS:
            for number in range(textures):
                _write_texture(folder / "textures" / name, name, number, seed)
    except OSError as error:
        raise BadInput(f"{folder}: cannot write there ({error.strerror}); choose another folder") from error


def _write_part(category: Path, part: str, count: int, product: Product, seed: int) -> None:
    """Write a folder of images and the masks of its defects. Image i + n/exposures shows the same piece as image i."""
    truth = category / "ground_truth" / Path(part).name
    defect = product.defects.get(Path(part).name)
    for number in range(count):
        piece = number % _pieces(count, product)
        random = numpy_generator("demo piece", seed, category.name, part, piece)
        scene = product.render(random)
        if defect:
            _save(truth / f"{number:03}_mask.png", defect(scene, random))
        picture = photograph(scene, numpy_generator("demo picture", seed, category.name, part, number))
        _save(category / part / f"{number:03}{product.suffix}", picture[..., 1] if product.grey else picture)


def _write_groups(category: Path, counts: dict[str, int], product: Product) -> None:
    rows = ["path,group"]
    for part, count in counts.items():
        for number in range(count):
            piece = number % _pieces(count, product)
            rows.append(f"{part}/{number:03}{product.suffix},{Path(part).parent}_{Path(part).name}_{piece:02}")
    (category / "groups.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")


def _pieces(count: int, product: Product) -> int:
    return -(-count // product.exposures)


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=92)


def _write_texture(folder: Path, name: str, number: int, seed: int, size: int = 160) -> None:
    """Write one texture: its pattern runs from one random colour to another."""
    random = numpy_generator("demo texture", seed, name, number)
    pattern = TEXTURE_PATTERNS[name](random, size).clip(0, 1)[..., None]
    dark, light = random.uniform(0, 0.45, 3), random.uniform(0.55, 1, 3)
    pixels = dark + pattern * (light - dark) + random.normal(0, 0.02, (size, size, 1))
    _save(folder / f"{name}_{number:04}.jpg", (pixels.clip(0, 1) * 255).round().astype(np.uint8))


def _plane(random: Generator, size: int, *, tilt: float = 180, sway: float = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates [S, S] of a surface turned by up to `tilt` degrees and warped by `sway` pixels."""
    y, x = np.mgrid[:size, :size] + sway * np.stack([smooth_noise(random, size, size, 20, 20) for _ in range(2)])
    turn = np.deg2rad(random.uniform(0, tilt))
    return y * np.cos(turn) - x * np.sin(turn), y * np.sin(turn) + x * np.cos(turn)


def _wave(position: np.ndarray, period: float) -> np.ndarray:
    return 0.5 + 0.5 * np.sin(2 * np.pi * position / period)


def _cells(random: Generator, size: int, count: int) -> np.ndarray:
    """Return distances [2, S, S] to the nearest and to the second nearest of `count` random points."""
    y, x = np.mgrid[:size, :size]
    points = random.uniform(0, size, (count, 2))
    return np.partition(np.hypot(y - points[:, :1, None], x - points[:, 1:, None]), 1, axis=0)[:2]


def _banded(random: Generator, size: int) -> np.ndarray:
    return _wave(_plane(random, size)[0], random.uniform(10, 24))


def _blotchy(random: Generator, size: int) -> np.ndarray:
    return 0.5 + 1.5 * smooth_noise(random, size, size, 8, 8)


def _bubbly(random: Generator, size: int) -> np.ndarray:
    return 1 - np.abs(_cells(random, size, 70)[0] - random.uniform(5, 8)) / 4


def _bumpy(random: Generator, size: int) -> np.ndarray:
    return 0.5 + 1.8 * np.gradient(smooth_noise(random, size, size, 5, 5), axis=0)


def _chequered(random: Generator, size: int) -> np.ndarray:
    y, x = _plane(random, size, sway=1)
    side = random.uniform(10, 18)
    return ((y // side + x // side) % 2).astype(float)


def _cracked(random: Generator, size: int) -> np.ndarray:
    near, next_near = _cells(random, size, 50)
    return (next_near - near) / 5


def _dotted(random: Generator, size: int) -> np.ndarray:
    y, x = _plane(random, size, sway=1)
    period = random.uniform(12, 18)
    return 4 * (_wave(y, period) * _wave(x, period) - 0.4)


def _grid(random: Generator, size: int) -> np.ndarray:
    y, x = _plane(random, size, sway=1)
    period = random.uniform(10, 16)
    return 6 * (np.maximum(_wave(y, period), _wave(x, period)) - 0.8)


def _marbled(random: Generator, size: int) -> np.ndarray:
    return _wave(_plane(random, size, sway=12)[0] + 8 * smooth_noise(random, size, size, 10, 10), 30)


def _zigzagged(random: Generator, size: int) -> np.ndarray:
    y, x = _plane(random, size, sway=1)
    return _wave(y + np.abs(x % 24 - 12), random.uniform(10, 16))


TEXTURE_PATTERNS = {
    "banded": _banded,
    "blotchy": _blotchy,
    "bubbly": _bubbly,
    "bumpy": _bumpy,
    "chequered": _chequered,
    "cracked": _cracked,
    "dotted": _dotted,
    "grid": _grid,
    "marbled": _marbled,
    "zigzagged": _zigzagged,
}
