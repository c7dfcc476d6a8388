"""What the parts of a fold cost on this machine, in seconds, measured by short probes at their real sizes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice

import numpy as np
import torch

from fsamc.artifacts.category_bank import Bank
from fsamc.artifacts.feature_set import FeatureSet
from fsamc.artifacts.patch_features import PatchFeatures
from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.data.category import Category
from fsamc.detectors.base import detector_class
from fsamc.detectors.residual import ResidualMaps
from fsamc.features.backbone import load_backbone
from fsamc.features.extraction import square_features
from fsamc.features.squares import read_squares
from fsamc.fold.config import FoldConfig
from fsamc.hardware import threads
from fsamc.heads.base import Head, head_class, make_head
from fsamc.heads.head_kinds import DirectSettings
from fsamc.pseudo.defects import defects
from fsamc.pseudo.foreground import foreground_mask
from fsamc.seeds import numpy_generator, torch_generator
from fsamc.training import loop as training
from fsamc.training.episodes import EPISODES

SAMPLE = 48  # good images that a detector is timed on; what it learns from more is scaled from there
COMPARED = 5  # images compared with what is normal at once
ENOUGH = 0.5  # seconds; what takes longer is not tried again to be measured better
PICTURES = 4  # pseudo-defects made


@dataclass(frozen=True, kw_only=True)
class HeadCost:
    """Seconds of a head's parts: one pretraining round, one step of fine-tuning, one image classified."""

    round: float = 0.0
    step: float = 0.0
    image: float = 0.0


@dataclass(frozen=True, kw_only=True)
class PseudoCost:
    """Seconds of finding one foreground, and of making one pseudo-defect, its features not counted."""

    foreground: float
    defect: float


@dataclass(frozen=True, kw_only=True)
class DetectorCost:
    """Seconds that a detector takes to learn from a good image, and to compare one image with what it has learnt.

    Comparing takes `compare`, and `each` for every good image: that is nothing but for a bank.
    """

    learn: float
    compare: float
    each: float = 0.0

    def comparing(self, n_good: int) -> float:
        """Seconds of comparing one image, where there are so many good ones."""
        return self.compare + self.each * n_good


def image_cost(pictures: PatchFeatures) -> float:
    """Seconds per image of a category, from its file to patch features."""
    batch = pictures.features.batch
    paths = (pictures.category.train * batch)[:batch]
    with threads(pictures.compute):
        return _warm_seconds(lambda: _features(pictures, paths)) / len(paths)


def pseudo_cost(pseudo_set: PseudoSet) -> PseudoCost:
    """Seconds of a set's pictures, from a few of them on one good image."""
    with threads(pseudo_set.compute):
        good = pseudo_set.good_squares(1)
        method, pseudo = pseudo_set.foreground_method(), pseudo_set.pseudo
        foreground = _seconds(lambda: foreground_mask(good[0], method, pseudo.segmentation))
        mask, textures = [foreground_mask(good[0], method, pseudo.segmentation)], pseudo_set.texture_squares()
        made = defects(good, mask, textures, pseudo, purpose=pseudo_set.category.name)
        return PseudoCost(foreground=foreground, defect=_seconds(lambda: list(islice(made, PICTURES))) / PICTURES)


def detector_cost(bank: Bank) -> DetectorCost:
    """Seconds of a detector on a sample: real patches, of two batches of images, and near-copies of these.

    Learning is taken to be proportional to the number of good images (a lazy coreset nearly is), comparing to lie on
    the line through its times with the sample and with a quarter of it.
    """
    good, reference = bank.good, bank.reference
    sample = _sample(good, min(SAMPLE, len(good.category.train)))
    learner, device = detector_class(reference), good.compute.device
    few = max(1, len(sample) // 4)

    def compared_with(n_good: int) -> tuple[float, float]:
        started = time.perf_counter()
        kept = learner.learn(sample[:n_good], reference, seed=bank.seed, device=device)
        learn = time.perf_counter() - started
        detector = learner(kept, sample[:n_good], reference, device=device)
        return learn, _seconds(lambda: detector.compare(sample[:COMPARED])) / len(sample[:COMPARED])

    with threads(good.compute):
        _, with_few = compared_with(few)
        learn, with_all = compared_with(len(sample))
    each = max(0.0, with_all - with_few) / max(1, len(sample) - few)
    return DetectorCost(learn=learn / len(sample), compare=max(0.0, with_few - each * few), each=each)


def head_cost(config: FoldConfig, *, n_classes: int) -> HeadCost:
    """Seconds of a head's parts on random maps of the real shape."""
    features, device = config.features, config.compute.device
    shape = load_backbone(features, "cpu").patches, features.dim
    pretrain = config.pretrain.model_copy(update={"max_rounds": 1, "stop_threshold": 1.0})
    maps = _random_maps(*shape, max(64, 2 * pretrain.pseudo_classes + pretrain.queries), device)
    labels = np.arange(len(maps)) % pretrain.pseudo_classes
    with threads(config.compute):
        generator = torch_generator("costs")
        head = make_head(config.head, n_patches=shape[0], dim=shape[1], generator=generator).to(torch.device(device))
        if not config.head.trained:
            return HeadCost(image=_classify(head, maps, n_classes))
        rounds = _warm_seconds(lambda: training.pretrain(head, maps, labels, pretrain, generator))
        return HeadCost(round=rounds, step=_step(head, maps, n_classes, config), image=_classify(head, maps, n_classes))


def finetuning_steps(config: FoldConfig, *, n_classes: int) -> int:
    """Steps of a fold's fine-tuning: episodes by epochs; of a classifier of images, images by passes."""
    head, shots, episodes = config.head, config.shots, config.finetune.episodes
    if isinstance(head, DirectSettings):
        return n_classes * shots * head.epochs
    if not head.trained:
        return 0
    enumerate_episodes = EPISODES[head_class(head).episodes if episodes == "own" else episodes]
    return config.finetune.epochs_for(shots) * sum(1 for _ in enumerate_episodes(n_classes, shots))


def direct_cost(category: Category, config: FoldConfig) -> HeadCost:
    """Seconds of a classifier of images: one image of one pass of its fine-tuning, and one image classified."""
    from fsamc.heads.direct import DirectClassifier

    with threads(config.compute):
        squares = read_squares(category, category.defects[:1], config.features)
        passes = {}
        for epochs in (1, 3):
            short = config.head.model_copy(update={"epochs": epochs})
            assert isinstance(short, DirectSettings)
            direct = DirectClassifier(
                short,
                config.features,
                device=config.compute.device,
                n_classes=1,
                generator=torch_generator("costs"),
            )
            passes[epochs] = _warm_seconds(lambda: direct.finetune([squares], torch_generator("costs")))  # noqa: B023
        return HeadCost(step=max(0.0, passes[3] - passes[1]) / 2, image=_seconds(lambda: direct.scores(squares)))


def _seconds(do: Callable[[], object]) -> float:
    started = time.perf_counter()
    do()
    return time.perf_counter() - started


def _warm_seconds(do: Callable[[], object]) -> float:
    """Seconds of the second time, which finds memory and code in their places; of the first where that is long."""
    first = _seconds(do)
    return first if first > ENOUGH else _seconds(do)


def _features(pictures: PatchFeatures, paths: Sequence[str]) -> np.ndarray:
    squares = read_squares(pictures.category, paths, pictures.features)
    return square_features(squares, pictures.features, pictures.compute.device)


def _sample(good: FeatureSet, count: int) -> np.ndarray:
    """Patch features [count, P, D] that are spread like those of good images."""
    paths = good.category.train[: min(2 * good.features.batch, count)]
    with threads(good.compute):
        first = np.concatenate(
            [_features(good, paths[i : i + good.features.batch]) for i in range(0, len(paths), good.features.batch)]
        )
    rng = numpy_generator("costs", "sample")
    spread = first.astype(np.float32).std(axis=(0, 1)) / 2
    copies = first[np.arange(len(first), count) % len(first)]
    near = copies + rng.standard_normal(copies.shape, np.float32) * spread
    return np.concatenate([first, near.astype(np.float16)])


@cache
def _random_maps(patches: int, dim: int, count: int, device: str) -> ResidualMaps:
    rng = numpy_generator("costs", "maps")
    features = np.empty((count, patches, dim), np.float16)
    for image in features:
        image[:] = rng.standard_normal((patches, dim), np.float32)
    return ResidualMaps(
        features=features,
        normal=features[:2].reshape(-1, dim),
        indices=rng.integers(0, 2 * patches, (count, patches)),
        residual=True,
        scale=np.ones(dim, np.float32),
        device=device,
    )


def _step(head: Head, maps: ResidualMaps, n_classes: int, config: FoldConfig) -> float:
    """Seconds of one step of fine-tuning."""
    optimiser = training.adam(head, config.finetune.lr)
    query, anchors = maps.take([0]), maps.take(range(n_classes))
    label = torch.zeros(1, dtype=torch.int64, device=query.values.device)

    def step() -> None:
        loss = head.loss(head(query, anchors), label)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        loss.item()  # waits for a GPU

    return _warm_seconds(step)


@torch.no_grad()
def _classify(head: Head, maps: ResidualMaps, n_classes: int) -> float:
    """Seconds per image, its residual map counted."""
    head.eval()
    anchors = torch.stack([head.represent(one[None]) for one in head.encode(maps.take(range(n_classes)))])

    def classify() -> None:
        head.relate(head.encode(maps.take(range(8))), anchors).cpu()

    return _warm_seconds(classify) / 8
