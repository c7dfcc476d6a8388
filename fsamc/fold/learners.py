"""Learners name images once they have seen a support: a head on vectors or maps, or a ResNet on images.

A learner holds what does not depend on the support, such as a head's pretraining: it is done once, however many
supports are tried.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from fsamc.config.scoring import Pool
from fsamc.data.category import PathsByClass
from fsamc.features.squares import read_squares
from fsamc.fold.config import FoldConfig
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.pretraining import pretraining
from fsamc.fold.stopwatch import Stopwatch
from fsamc.heads.base import Head
from fsamc.heads.head_kinds import DirectSettings
from fsamc.representation.represented import Represented, concatenate, mean
from fsamc.seeds import torch_generator
from fsamc.store.store import Store
from fsamc.training import loop as training
from fsamc.training.pool import moved_means


@dataclass(frozen=True)
class TrainedHead:
    """A fold's head after its training.

    Attributes:
        images: what it was trained on and classifies.
        anchors: what stands for each class, C of them.
        epochs: how its fine-tuning went: share of the support's queries named rightly in each epoch.
    """

    head: Head
    images: FoldImages
    anchors: Sequence[torch.Tensor]
    epochs: Sequence[float]

    def scores(self, paths: Sequence[str]) -> np.ndarray:
        """Return scores of the images at `paths`, float32 [Q, C]."""
        return self.scores_of(self.images.batches(paths))

    @torch.no_grad()
    def scores_in_pool(self, paths: Sequence[str], pool: Pool) -> np.ndarray:
        """Return scores of images that are named together, float32 [Q, C]: unlabelled they move the class means."""
        with self.images.watch.stage("classify"):
            queries = torch.cat([self.head.encode(batch) for batch in self.images.batches(paths)])
            shots = self.images.config.shots
            means = moved_means(self.head.relate, torch.stack(list(self.anchors)), queries, shots=shots, pool=pool)
            return self.head.relate(queries, list(means)).cpu().numpy()

    @torch.no_grad()
    def scores_of(self, batches: Iterable[Represented]) -> np.ndarray:
        """Return scores of all images of the batches, float32 [Q, C]."""
        with self.images.watch.stage("classify"):
            compare = self.head.against(self.anchors)
            return np.concatenate([compare(self.head.encode(batch)).cpu().numpy() for batch in batches])


@dataclass(frozen=True)
class PretrainedHead:
    """The head that a fold's configuration names, pretrained as far as it learns. It is never changed itself.

    Attributes:
        rounds: how its pretraining went: the accuracy of each round.
    """

    head: Head
    images: FoldImages
    rounds: Sequence[float]

    def trained_on(self, support: PathsByClass) -> TrainedHead:
        """Return a copy, fine-tuned on this support and ready to classify."""
        images = self.images.seen_with(support)
        with images.watch.stage("classify"):  # maps are made when a head takes them
            represented = [images.support(paths) for paths in support.values()]
            means = images.means(support)
        return replace(self, images=images).trained_on_represented(represented, means)

    def trained_on_represented(self, support: list[Represented], means: Represented | None) -> TrainedHead:
        """Do the same with each class's images, S of each; `means` stand for the classes in place of them."""
        head, epochs = copy.deepcopy(self.head), list[float]()
        if head.settings.trained:
            with self.images.watch.stage("finetune"):
                epochs = training.finetune(head, support, self.images.config.finetune)
        with self.images.watch.stage("classify"):
            anchors = _class_representations(head, self.images.config, support, means)
        return TrainedHead(head, self.images, anchors, epochs)


def fold_learner(inputs: FoldInputs, store: Store, watch: Stopwatch) -> Learner:
    """Return the learner that a fold's configuration names, before it sees any support."""
    return ImageLearner(inputs, watch) if inputs.sees_images else pretrained_head(FoldImages(inputs, store, watch))


def pretrained_head(images: FoldImages, *, rows: np.ndarray | None = None) -> PretrainedHead:
    """Return a fold's head before it sees any support.

    Args:
        images: of the fold.
        rows: the pseudo-defects that it is pretrained on; all by default.
    """
    head, rounds = pretraining(images, rows)
    return PretrainedHead(head, images, rounds)


def support_means(support: list[Represented], config: FoldConfig) -> Represented | None:
    """Return what stands in for images averaged pixel by pixel where no pixels are kept: their average."""
    return concatenate([mean(images) for images in support]) if config.support.mean == "image" else None


@dataclass(frozen=True)
class ImageLearner:
    """A classifier of images (paper 4.3, table 10): no bank, no residuals, and nothing that precedes the support."""

    inputs: FoldInputs
    watch: Stopwatch

    @property
    def rounds(self) -> Sequence[float]:
        """None: nothing is pretrained."""
        return ()

    def trained_on(self, support: PathsByClass) -> TrainedOnImages:
        """Return a network that was fine-tuned on this support."""
        from fsamc.heads.direct import DirectClassifier

        with self.watch.stage("inputs"):
            squares = [self.squares(paths) for paths in support.values()]
        with self.watch.stage("finetune"):
            config, seed = self.inputs.config, self.inputs.seed
            assert isinstance(config.head, DirectSettings)
            classifier = DirectClassifier(
                config.head,
                config.features,
                device=config.compute.device,
                n_classes=len(squares),
                generator=torch_generator(seed, "head weights"),
            )
            classifier.finetune(squares, torch_generator(seed, "direct order"))
        return TrainedOnImages(self, classifier.scores)

    def squares(self, paths: Sequence[str]) -> np.ndarray:
        """Read the images at `paths` as uint8 [n, S, S, 3]."""
        return read_squares(self.inputs.category, paths, self.inputs.config.features)


@dataclass(frozen=True)
class TrainedOnImages:
    """A classifier of images after its fine-tuning.

    Attributes:
        learner: where it comes from.
        classify: images uint8 [n, S, S, 3] to scores float32 [n, C].
    """

    learner: ImageLearner
    classify: Callable[[np.ndarray], np.ndarray]

    @property
    def epochs(self) -> Sequence[float]:
        """None: its passes are not scored."""
        return ()

    def scores(self, paths: Sequence[str]) -> np.ndarray:
        """Return scores of the images at `paths`, float32 [Q, C]."""
        with self.learner.watch.stage("classify"):
            size = self.learner.inputs.config.features.batch
            batches = [paths[i : i + size] for i in range(0, len(paths), size)]
            return np.concatenate([self.classify(self.learner.squares(batch)) for batch in batches])


Learner = PretrainedHead | ImageLearner
"""Names images after any support: `trained_on` returns a copy that has learnt from one alone."""


@torch.no_grad()
def _class_representations(
    head: Head, config: FoldConfig, support: list[Represented], means: Represented | None
) -> list[torch.Tensor]:
    """Return one representation per class, averaged as `support.mean` says."""
    head.eval()
    if means is not None:
        support = [means.take([label]) for label in range(len(means))]
    elif config.support.mean == "residual":
        support = [mean(images) for images in support]
    return [head.represent(head.encode(images)) for images in support]
