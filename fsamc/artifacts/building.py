"""How each artifact of `fsamc.artifacts.artifacts` is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from fsamc.artifacts.artifacts import Bank, FeatureSet, GoodScores, Nearest, PseudoSet
from fsamc.compute import at_half_when_full, threads
from fsamc.config.compute import Compute
from fsamc.config.features import Features
from fsamc.data import images
from fsamc.data.category import Category
from fsamc.detectors.bank import anomaly_score
from fsamc.detectors.base import Detector, detector_class
from fsamc.features import backbone
from fsamc.features.patches import patch_features_of
from fsamc.pseudo.defects import PseudoDefect, defects
from fsamc.pseudo.foreground import Foregrounds, Method, choose_foreground
from fsamc.store.arrays import create_array, save_array
from fsamc.store.store import Arrays, Store


def build_features(wanted: FeatureSet, into: Path) -> None:
    """Stream the pictures through the backbone."""
    pictures = (_picture(wanted, paths) for paths in wanted.pictures)
    with threads(wanted.compute):
        _write_features(pictures, len(wanted.pictures), wanted.features, wanted.compute, into)


def build_pseudo_defects(wanted: PseudoSet, into: Path) -> None:
    """Paste textures on good images and extract features, one by one; the pictures themselves are not kept."""
    count = wanted.pseudo.per_class * len(wanted.classes)
    labels, sources = np.empty(count, np.int64), np.empty(count, np.int64)

    def pictures() -> Iterator[np.ndarray]:
        for row, made in enumerate(pseudo_defects(wanted)):
            labels[row], sources[row] = made.label, made.source
            yield made.image

    with threads(wanted.compute):
        _write_features(pictures(), count, wanted.features, wanted.compute, into)
    save_array(into / "labels.npy", labels)
    save_array(into / "sources.npy", sources)


def build_bank(wanted: Bank, store: Store, into: Path) -> None:
    """Have the detector learn from the good images, and keep what it keeps."""
    for name, array in _learnt(wanted, store.get(wanted.good)["features"]).items():
        save_array(into / f"{name}.npy", array)


def build_nearest(wanted: Nearest, store: Store, into: Path) -> None:
    """Find what would be normal at every patch, in blocks: the features are never all in memory."""
    features = store.get(wanted.queries)["features"]
    with threads(wanted.bank.good.compute):
        distances, indices = detector(wanted.bank, store).compare(features)
    save_array(into / "distances.npy", distances)
    save_array(into / "indices.npy", indices.astype(np.int32))


def build_good_scores(wanted: GoodScores, store: Store, into: Path) -> None:
    """Learn from the good images that are not held out, and judge those that are."""
    features = store.get(wanted.bank.good)["features"]
    others = features[np.setdiff1d(np.arange(len(features)), wanted.held_out)]
    with threads(wanted.bank.good.compute):
        judge = _detector(wanted.bank, _learnt(wanted.bank, others), others)
        distances, _ = judge.compare(features[list(wanted.held_out)])
    save_array(into / "scores.npy", anomaly_score(distances))


def detector(bank: Bank, store: Store) -> Detector:
    """The detector that has learnt what `bank` holds."""
    return _detector(bank, store.get(bank), store.get(bank.good)["features"])


def _learnt(bank: Bank, good: np.ndarray) -> Arrays:
    """What a detector like the bank's keeps of good features [G, P, D]."""
    with threads(bank.good.compute):
        learn = detector_class(bank.reference.kind).learn
        return learn(good, bank.reference, seed=bank.seed, device=bank.good.compute.device)


def _detector(bank: Bank, kept: Arrays, good: np.ndarray) -> Detector:
    return detector_class(bank.reference.kind)(kept, good, bank.reference, device=bank.good.compute.device)


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
    return squares(category, category.train[:count], features)


def squares(category: Category, paths: Sequence[str], features: Features) -> np.ndarray:
    """A category's images as the network sees them, uint8 [n, S, S, 3]."""
    return np.stack([_square(category, path, features) for path in paths])


def _square(category: Category, path: str, features: Features) -> np.ndarray:
    return images.to_square(images.read_image(category.folder / path), features)


def _picture(wanted: FeatureSet, paths: tuple[str, ...]) -> np.ndarray:
    each = [_square(wanted.category, path, wanted.features) for path in paths]
    return each[0] if len(each) == 1 else np.mean(each, axis=0).round().astype(np.uint8)


def texture_squares(wanted: PseudoSet) -> dict[str, list[np.ndarray]]:
    """Each class's textures, resized straight to uint8 [S, S, 3]."""
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
    waiting: list[np.ndarray] = []

    def extract(first: int, last: int) -> np.ndarray:
        waiting.extend(islice(squares, max(0, last - first - len(waiting))))
        with torch.inference_mode():
            tensor = torch.as_tensor(images.to_tensor(np.stack(waiting[: last - first])))
            half = patch_features_of(network(tensor), dim=features.dim).half().cpu().numpy()
        del waiting[: last - first]
        return half

    kept: np.memmap | None = None
    for first, half in at_half_when_full(extract, count, features.batch):
        if not np.isfinite(half).all():
            raise ValueError(f"{features.backbone}: features exceed the range of float16")
        if kept is None:
            kept = create_array(into / "features.npy", np.float16, (count, *half.shape[1:]))
        kept[first : first + len(half)] = half
    if kept is not None:
        kept.flush()
