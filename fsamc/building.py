"""How each artifact of `fsamc.artifacts` is computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from fsamc import backbone, images
from fsamc.arrays import create_array, save_array
from fsamc.artifacts import Bank, FeatureSet, Nearest, PseudoSet
from fsamc.bank import MemoryBank
from fsamc.compute import threads
from fsamc.config import Compute, Features
from fsamc.dataset import Category
from fsamc.foreground import Foregrounds, Method, choose_foreground
from fsamc.patches import patch_features_of
from fsamc.pseudo import PseudoDefect, defects
from fsamc.store import Store


def build_features(wanted: FeatureSet, into: Path) -> None:
    """Stream the pictures through the backbone."""
    squares = (_picture(wanted, paths) for paths in wanted.pictures)
    with threads(wanted.compute):
        _write_features(squares, len(wanted.pictures), wanted.features, wanted.compute, into)


def build_pseudo_defects(wanted: PseudoSet, into: Path) -> None:
    """Paste textures on good images and extract features, one by one; the pictures themselves are not kept."""
    count = wanted.pseudo.per_class * len(wanted.textures.classes)
    labels, sources = np.empty(count, np.int64), np.empty(count, np.int64)

    def squares() -> Iterator[np.ndarray]:
        for row, made in enumerate(pseudo_defects(wanted)):
            labels[row], sources[row] = made.label, made.source
            yield made.image

    with threads(wanted.compute):
        _write_features(squares(), count, wanted.features, wanted.compute, into)
    save_array(into / "labels.npy", labels)
    save_array(into / "sources.npy", sources)


def build_bank(wanted: Bank, store: Store, into: Path) -> None:
    """Choose the coreset of the good patches and keep its rows."""
    features = store.get(wanted.good)["features"]
    with threads(wanted.good.compute):
        bank = MemoryBank.build(
            features.reshape(-1, features.shape[-1]),
            wanted.reference.ratio,
            wanted.seed,
            projection=wanted.reference.projection,
            starts=wanted.reference.starts,
            device=wanted.good.compute.device,
        )
    save_array(into / "indices.npy", bank.indices)
    save_array(into / "rows.npy", bank.rows.astype(np.float16))


def build_nearest(wanted: Nearest, store: Store, into: Path) -> None:
    """Find every patch's nearest bank row, in blocks: the features are never all in memory."""
    compute = wanted.bank.good.compute
    bank = MemoryBank(**store.get(wanted.bank))
    features = store.get(wanted.queries)["features"]
    with threads(compute):
        distances, indices = bank.nearest(features.reshape(-1, features.shape[-1]), device=compute.device)
    save_array(into / "distances.npy", distances.reshape(features.shape[:2]))
    save_array(into / "indices.npy", indices.astype(np.int32).reshape(features.shape[:2]))


def pseudo_defects(wanted: PseudoSet) -> Iterator[PseudoDefect]:
    """The pseudo-defects as pictures, class after class."""
    good = good_squares(wanted.category, wanted.features)
    foregrounds = Foregrounds(good, foreground_method(wanted), wanted.pseudo.segmentation)
    return defects(good, foregrounds, texture_squares(wanted), wanted.pseudo, purpose=wanted.category.name)


def foreground_method(wanted: PseudoSet) -> Method:
    """How the object is found: as configured, or chosen from the first good images where that is `auto`."""
    if wanted.foreground != "auto":
        return wanted.foreground
    settings = wanted.pseudo.segmentation
    return choose_foreground(good_squares(wanted.category, wanted.features, settings.sample), settings)


def good_squares(category: Category, features: Features, count: int | None = None) -> np.ndarray:
    """The first `count` good images (all of them by default) as the network sees them, uint8 [G, S, S, 3]."""
    return np.stack([_square(category, path, features) for path in category.train[:count]])


def _square(category: Category, path: str, features: Features) -> np.ndarray:
    return images.to_square(images.read_image(category.folder / path), features)


def _picture(wanted: FeatureSet, paths: tuple[str, ...]) -> np.ndarray:
    each = [_square(wanted.category, path, wanted.features) for path in paths]
    return each[0] if len(each) == 1 else np.mean(each, axis=0).round().astype(np.uint8)


def texture_squares(wanted: PseudoSet) -> dict[str, list[np.ndarray]]:
    """Each pseudo-class's textures, resized straight to uint8 [S, S, 3]."""
    plain = Features(size=wanted.features.size)
    return {
        name: [images.to_square(images.read_image(wanted.textures.folder / path), plain) for path in paths]
        for name, paths in wanted.textures.chosen(wanted.pseudo.textures_per_class).items()
    }


def _write_features(
    squares: Iterator[np.ndarray], count: int, features: Features, compute: Compute, into: Path
) -> None:
    """Stream `count` square images into the memory-mapped file `features.npy`, float16 [count, P, D]."""
    network = backbone.load_backbone(features, compute.device)
    kept: np.memmap | None = None
    for first in range(0, count, features.batch):
        batch = np.stack([next(squares) for _ in range(min(features.batch, count - first))])
        with torch.inference_mode():
            patches = patch_features_of(network(torch.as_tensor(images.to_tensor(batch))), dim=features.dim)
        half = patches.half().cpu().numpy()
        if not np.isfinite(half).all():
            raise ValueError(f"{features.backbone}: features exceed the range of float16")
        if kept is None:
            kept = create_array(into / "features.npy", np.float16, (count, *half.shape[1:]))
        kept[first : first + len(half)] = half
    if kept is not None:
        kept.flush()
