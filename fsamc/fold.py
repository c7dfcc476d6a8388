"""One fold, from images to accuracy: the whole method on one page.

    images ─ backbone ─ patch features ─┬─ coreset ─ bank ─┐
    good images + textures ─ pseudo-defects ─ patch features ├─ residuals ─ episodes ─ head ─ accuracy
    support and query images ─ patch features ──────────────┘

A fold is a pure function of (files' contents, configuration, seed, draw).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from fsamc import building, training
from fsamc.artifacts import Nearest
from fsamc.compute import Stopwatch, threads
from fsamc.config import FoldConfig
from fsamc.dataset import Category, PathsByClass
from fsamc.detection import Detected, detect
from fsamc.detectors.base import Detector
from fsamc.errors import BadInput
from fsamc.heads.base import Head, head_class
from fsamc.inputs import Inputs, detection_inputs, fold_inputs, fold_key
from fsamc.residual import Maps, ResidualMaps, mean
from fsamc.result import FoldResult
from fsamc.seeds import torch_generator
from fsamc.store import Artifact, Store
from fsamc.textures import Textures

_BATCH = 8  # images classified at once; a memory bound, each image's answer is its own


def run_fold(
    category: Category,
    config: FoldConfig,
    *,
    seed: int,
    draw: int = 0,
    store: Store,
    textures: Textures | None = None,
) -> FoldResult:
    """Score one configuration on one (category, seed, draw).

    Args:
        category: images in MVTec layout.
        config: every knob.
        seed: of the bank's coreset, the head's weights and the pretraining rounds.
        draw: which images are the support.
        store: where artifacts are found, and built if they are missing.
        textures: what pseudo-defects are made of; needed if the configuration pretrains.

    Raises:
        BadInput: the category is too small for `config.shots` or for detection, or textures are missing.
    """
    category = category.with_classes(good=config.good)
    support, queries = support_and_queries(category, config, draw)
    asked = [path for paths in queries.values() for path in paths]
    inputs = fold_inputs(category, config, seed=seed, draw=draw, textures=textures)
    screening = detection_inputs(category, config, seed=seed)
    watch = Stopwatch()
    learnt = Learnt()
    detected = Detected()
    with threads(config.compute):
        if screening is not None:
            _complete(screening.artifacts(), store, watch)
            with watch.stage("detect"):
                detected = detect(category, screening, asked, config.detection, store)
        if inputs is None:
            scores = _scores_from_images(category, config, support, asked, seed=seed, watch=watch)
        else:
            trained = train_head(FoldImages(category, config, inputs, store, watch), support, seed=seed)
            scores, learnt = trained.scores(asked), trained.learnt
    return FoldResult(
        key=fold_key(category, config, seed=seed, draw=draw, textures=textures),
        category=category.name,
        seed=seed,
        draw=draw,
        shots=config.shots,
        head=config.head.kind,
        classes=tuple(category.classes),
        support=support,
        images=tuple(asked),
        truth=tuple(label for label, paths in enumerate(queries.values()) for _ in paths),
        predicted=tuple(scores.argmax(1).tolist()),
        scores=tuple(tuple(row) for row in scores.tolist()),
        left_out=len(category.left_out(config.shots, draw, files=config.support.files)),
        rounds=len(learnt.rounds),
        learning=tuple(learnt.rounds),
        finetuning=tuple(learnt.epochs),
        stages=watch.seconds,
        threshold=detected.threshold,
        anomaly=detected.anomaly,
        good_images=detected.good_images,
        good_anomaly=detected.good_anomaly,
    )


def _scores_from_images(
    category: Category, config: FoldConfig, support: PathsByClass, asked: list[str], *, seed: int, watch: Stopwatch
) -> np.ndarray:
    """Scores float32 [Q, C] of a classifier of images: no bank, no residuals (table 10)."""
    from fsamc.heads.direct import DirectClassifier

    with watch.stage("inputs"):
        known = [building.squares(category, paths, config.features) for paths in support.values()]
    with watch.stage("finetune"):
        classifier = DirectClassifier(config, n_classes=len(known), generator=torch_generator(seed, "head weights"))
        classifier.finetune(known, torch_generator(seed, "direct order"))
    with watch.stage("classify"):
        batches = [asked[i : i + _BATCH] for i in range(0, len(asked), _BATCH)]
        squares = (building.squares(category, batch, config.features) for batch in batches)
        return np.concatenate([classifier.scores(batch) for batch in squares])


def support_and_queries(category: Category, config: FoldConfig, draw: int) -> tuple[PathsByClass, PathsByClass]:
    """The support and the queries of a fold by class. Raises BadInput if the category is too small for its shots."""
    files = config.support.files
    if problem := category.problem(config.shots, draw, files=files):
        raise BadInput(problem)
    return category.support(config.shots, draw, files=files), category.queries(config.shots, draw, files=files)


class Learnt(NamedTuple):
    """Accuracies of the pretraining rounds, and of the queries in each epoch of fine-tuning."""

    rounds: Sequence[float] = ()
    epochs: Sequence[float] = ()


@dataclass(frozen=True)
class TrainedHead:
    """A fold's head after its training.

    Attributes:
        images: what it was trained on and classifies.
        anchors: what stands for the classes, [C, ...].
        learnt: how its training went.
    """

    head: Head
    images: FoldImages
    anchors: torch.Tensor
    learnt: Learnt

    @torch.no_grad()
    def scores(self, paths: Sequence[str]) -> np.ndarray:
        """Scores of the images at `paths`, float32 [Q, C]."""
        with self.images.watch.stage("classify"):
            encoded = map(self.head.encode, self.images.batches(paths))
            return np.concatenate([self.head.relate(batch, self.anchors).cpu().numpy() for batch in encoded])


def train_head(images: FoldImages, support: PathsByClass, *, seed: int) -> TrainedHead:
    """The head that the fold's configuration names, trained as far as it learns and ready to classify."""
    watch = images.watch
    with watch.stage("classify"):  # residual maps of support and queries alike are made when a head takes them
        support_maps = [images.take(paths) for paths in support.values()]
    head = _fresh_head(images.config, support_maps[0], seed)
    learnt = _train(head, images, support_maps, seed=seed)
    with watch.stage("classify"):
        anchors = _class_representations(head, images.config, support_maps, images.means())
    return TrainedHead(head, images, anchors, learnt)


def _complete(artifacts: Sequence[Artifact], store: Store, watch: Stopwatch) -> None:
    """Build what is missing. Only the looking counts as this fold's own time."""
    with watch.stage("inputs"):
        missing = [artifact for artifact in artifacts if not store.has(artifact)]
    for artifact in missing:
        store.get(artifact)


def _train(head: Head, images: FoldImages, support: list[Maps], *, seed: int) -> Learnt:
    """Pretrain and fine-tune, as far as the head learns."""
    config, inputs, watch = images.config, images.inputs, images.watch
    learnt = Learnt()
    if not head.trained:
        return learnt
    if inputs.pseudo is not None:
        with watch.stage("pretrain"):
            labels = np.asarray(images.store.get(inputs.pseudo)["labels"])
            rounds = torch_generator(seed, "pretraining rounds")
            maps = _pseudo_maps(config, inputs, images.store)
            learnt = learnt._replace(rounds=training.pretrain(head, maps, labels, config.pretrain, rounds))
    with watch.stage("finetune"):
        return learnt._replace(epochs=training.finetune(head, support, config.finetune))


class FoldImages:
    """The maps of a fold's images by path, and what they are made from; what is missing in the store is built first.

    Attributes:
        maps: of all of the category's defect images, in its order.
    """

    def __init__(self, category: Category, config: FoldConfig, inputs: Inputs, store: Store, watch: Stopwatch) -> None:
        self.config, self.inputs, self.store, self.watch = config, inputs, store, watch
        _complete(inputs.artifacts(), store, watch)
        with watch.stage("inputs"):
            self.maps = _residual_maps(config, inputs.test, store)
        self._rows = {path: row for row, path in enumerate(category.defects)}

    def rows(self, paths: Iterable[str]) -> list[int]:
        """Where these images are in `maps`."""
        return [self._rows[path] for path in paths]

    def take(self, paths: Iterable[str]) -> Maps:
        """The maps of these images."""
        return self.maps.take(self.rows(paths))

    def batches(self, paths: Sequence[str]) -> Iterator[Maps]:
        """The maps of these images, a few at a time."""
        return (self.take(paths[i : i + _BATCH]) for i in range(0, len(paths), _BATCH))

    def means(self) -> Maps | None:
        """Per class the maps of its pixelwise average, where the configuration asks for them."""
        if self.inputs.means is None:
            return None
        maps = _residual_maps(self.config, self.inputs.means, self.store)
        return maps.take(range(len(maps)))


def _residual_maps(config: FoldConfig, nearest: Nearest, store: Store) -> ResidualMaps:
    detector, found = building.detector(nearest.bank, store), store.get(nearest)
    return ResidualMaps(
        features=store.get(nearest.queries)["features"],
        normal=detector.rows,
        indices=found["indices"],
        residual=config.residual,
        scale=_scale(config, detector),
        device=config.compute.device,
        distances=found["distances"] if detector.measures else None,
    )


def _scale(config: FoldConfig, detector: Detector) -> np.ndarray | None:
    return detector.scale if config.reference.scale == "bank" else None


def _pseudo_maps(config: FoldConfig, inputs: Inputs, store: Store) -> ResidualMaps:
    """Pseudo-defects minus the bank's rows, or minus the very image that each was made from."""
    if inputs.pseudo_nearest is not None:
        return _residual_maps(config, inputs.pseudo_nearest, store)
    assert inputs.pseudo is not None
    pseudo = store.get(inputs.pseudo)
    good = store.get(inputs.good)["features"]
    n_patches = good.shape[1]
    return ResidualMaps(
        features=pseudo["features"],
        normal=good.reshape(-1, good.shape[-1]),
        indices=pseudo["sources"][:, None] * n_patches + np.arange(n_patches),
        residual=config.residual,
        scale=_scale(config, building.detector(inputs.test.bank, store)),
        device=config.compute.device,
    )


def _fresh_head(config: FoldConfig, example: Maps, seed: int) -> Head:
    _, n_patches, dim = example.values.shape
    made = head_class(config.head.kind)(
        config.head, patches=n_patches, dim=dim, generator=torch_generator(seed, "head weights")
    )
    return made.to(example.values.device)


@torch.no_grad()
def _class_representations(head: Head, config: FoldConfig, support: list[Maps], means: Maps | None) -> torch.Tensor:
    """One representation per class, [C, ...], averaged as `support.mean` says."""
    head.eval()
    if means is not None:
        support = [means.take([label]) for label in range(len(means))]
    elif config.support.mean == "residual":
        support = [mean(maps) for maps in support]
    return torch.stack([head.represent(head.encode(maps)) for maps in support])
