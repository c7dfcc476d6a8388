"""Fitting of a classifier: a fold's inputs and learner, with every labelled image as support and none as query."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from PIL import Image

from fsamc.artifacts.base import Artifact
from fsamc.classifier.model_file import LEFT_OUT
from fsamc.classifier.photos.support_set import Photo, SupportSet, photo_names
from fsamc.classifier.pictures import pixels_digest
from fsamc.classifier.pipeline import Pipeline
from fsamc.counting import counted
from fsamc.data.category import Category, PathsByClass
from fsamc.data.images import read_image
from fsamc.data.pictures.encoding import jpeg
from fsamc.data.textures import Textures
from fsamc.detectors.base import detector_class
from fsamc.errors import BadInput
from fsamc.fold.chosen_views import ChosenViews
from fsamc.fold.config import FoldConfig
from fsamc.fold.defect_detection import threshold
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import FoldInputs, takes_pseudo_defects
from fsamc.fold.learners import Learner, TrainedHead, pretrained_head
from fsamc.fold.objectives import leave_one_out_scores
from fsamc.fold.stopwatch import Stopwatch
from fsamc.hardware import threads
from fsamc.heads.base import Head
from fsamc.store.store import Store

THUMBNAIL = 160  # pixels of its long side: what a person needs to tell one photo from another


class FitInputs(FoldInputs):
    """Inputs of a fit: all labelled images are support."""

    @cached_property
    def support(self) -> PathsByClass:
        """Every defect image by class."""
        return self.category.classes

    @cached_property
    def queries(self) -> PathsByClass:
        """None."""
        return {}

    def _last(self) -> Iterator[Artifact]:
        yield from super()._last()
        with suppress(BadInput):  # too few good images to hold some out
            yield self.good_scores


@dataclass(frozen=True)
class Fitted:
    """What a fit has learnt.

    Attributes:
        pipeline: from pictures to what the head sees.
        head: after its training, if it has any.
        support: the photos.
        anchors: what stands for the classes, where it does not follow from the photos; else None.
        left_out: float32 [n, C], scores of each photo by a head that has not seen it; NaN where there is none.
        threshold: a picture is called defective if its anomaly is above; None where one cannot be set.
        shape: N, D and R of what the head sees.
        elsewhere: of other products' classifiers, float64 [m] each, how novel their photos are (`Novelty.standard`).
    """

    pipeline: Pipeline
    head: Head
    support: SupportSet
    anchors: Sequence[torch.Tensor] | None
    left_out: np.ndarray
    threshold: float | None
    shape: tuple[int, int, int]
    elsewhere: tuple[np.ndarray, ...] = ()


def fit_category(
    category: Category,
    config: FoldConfig,
    *,
    seed: int,
    store: Store,
    textures: Textures | None,
    tell: Callable[[str], object],
) -> Fitted:
    """Learn from a category's good images and all of its labelled ones, as a fold of `run_fold` does.

    Args:
        category: of which no image is left as a query.
        config: every knob but the shots, which are those that there are.
        seed: of the bank and the head.
        store: keeps what is computed.
        textures: of pseudo-defects, where the head is pretrained.
        tell: hears what is being computed, in words.

    Raises:
        BadInput: the category or the configuration makes no classifier, or a picture cannot be read.
    """
    config = config.model_copy(update={"shots": max(map(len, category.classes.values()), default=1)})
    check_fit(category, config, textures)
    inputs, watch = FitInputs(category, config, seed=seed, textures=textures), Stopwatch()
    with threads(config.compute):
        inputs.build_missing(store, watch, tell=tell)
        tell("the head")
        images = FoldImages(inputs, store, watch)
        learner = pretrained_head(images)
        trained = learner.trained_on(inputs.support)
        support = _support(inputs.category, trained)
        return Fitted(
            pipeline=_pipeline(inputs, store, trained.images.views),
            head=trained.head.eval(),
            support=support,
            anchors=None if follows_from_photos(config) else trained.anchors,
            left_out=_left_out(learner, trained.head, support, inputs),
            threshold=_threshold(inputs, store),
            shape=images.shape,
        )


def follows_from_photos(config: FoldConfig) -> bool:
    """Whether what stands for a class is made of its photos, each seen alone by a head that trains nothing."""
    return not config.head.trained and config.support.mean == "embedding"


def photo_of(name: str, label: str, digest: str, pixels: np.ndarray) -> Photo:
    """Return a support photo with its thumbnail; `pixels` uint8 [H, W, 3]."""
    small = Image.fromarray(pixels)
    small.thumbnail((THUMBNAIL, THUMBNAIL))
    return Photo(name, label, digest, jpeg(np.asarray(small), 80))


def new_photos(label: str, pictures: Sequence[tuple[str, np.ndarray]], *, beside: Sequence[Photo]) -> list[Photo]:
    """Return pictures, each with its path or number and uint8 [H, W, 3], as photos of a class beside others."""
    names = photo_names([path for path, _ in pictures], {photo.name for photo in beside})
    return [photo_of(names[path], label, pixels_digest(path, pixels), pixels) for path, pixels in pictures]


@torch.no_grad()
def class_anchors(head: Head, encoded: Sequence[np.ndarray], device: str) -> list[torch.Tensor]:
    """Return what stands for each class, of its photos as the head sees them, float32 [S_c, ...]."""
    return [head.represent(torch.from_numpy(of_class).to(device)) for of_class in encoded]


@torch.no_grad()
def left_out_scores(head: Head, support: SupportSet, device: str) -> np.ndarray:
    """Return scores of each photo beside all others, float32 [n, C]; NaN where its class would be left empty.

    Of a head that trains nothing. Copies of a photo are left out with it.
    """
    scores = np.full((len(support.photos), len(support.classes)), np.nan, np.float32)
    for row in range(len(scores)):
        others = support.by_class(without=row)
        if all(map(len, others)):
            query = torch.from_numpy(support.encoded[row : row + 1]).to(device)
            scores[row] = head.relate(query, class_anchors(head, others, device)).cpu().numpy()[0]
    return scores


def scored_left_out(fitted: Fitted) -> dict[str, float]:
    """Return the share of photos, of those that could be left out, that are named rightly; empty where none could."""
    scores, labels = fitted.left_out, fitted.support.labels
    seen = ~np.isnan(scores).any(1)
    return {LEFT_OUT: float((scores[seen].argmax(1) == labels[seen]).mean())} if seen.any() else {}


def check_fit(category: Category, config: FoldConfig, textures: Textures | None) -> None:
    """Raise BadInput for what makes no classifier."""
    inputs = FitInputs(category, config, seed=0, textures=textures)
    category = inputs.category
    if len(category.classes) < 2:
        has = counted(len(category.classes), "defect class")
        raise BadInput(f"{category.name}: {has} ({', '.join(category.classes)}), 2 are needed")
    if inputs.sees_images:
        raise BadInput(f"head.kind is {config.head.kind}, which has no bank; a classifier needs another head")
    if not detector_class(config.reference).self_contained:
        raise BadInput(
            f"reference.kind is {config.reference.kind}, which keeps the features of all good images; "
            "a classifier is one small file: choose patchcore or padim"
        )
    if config.representation.region == "masks":
        raise BadInput("representation.region is masks, and new images have none; set representation.region=anomaly")
    sizes = {name: len(paths) for name, paths in category.classes.items()}
    if config.head.trained and len(set(sizes.values())) > 1:
        listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise BadInput(
            f"head.kind is {config.head.kind}, which is trained on equally many photos of each class, found {listed}; "
            "leave some out, or choose a head that trains nothing, such as prototype"
        )
    if takes_pseudo_defects(config):
        _ = inputs.pseudo  # which says what its textures lack


def _pipeline(inputs: FitInputs, store: Store, chosen: ChosenViews) -> Pipeline:
    """Return a pipeline that holds what it needs in memory, and nothing of the store; its views are the chosen ones."""
    views = inputs.config.views.model_copy(update={"support": chosen.support, "queries": chosen.queries})
    config = inputs.config.model_copy(update={"views": views})
    learnt = {name: np.array(array) for name, array in store.get(inputs.bank).items()}
    statistics = (
        {name: np.array(array) for name, array in store.get(inputs.statistics).items()} if inputs.statistics else {}
    )
    return Pipeline(config, inputs.bank.detector(learnt, np.empty(0)), statistics)


def _support(category: Category, trained: TrainedHead) -> SupportSet:
    images, photos, names = trained.images, list[Photo](), photo_names(category.defects)
    for label, paths in category.classes.items():
        for path in paths:
            pixels = read_image(category.folder / path, category.digests[path])
            photos.append(photo_of(names[path], label, category.digests[path], pixels))
    with torch.no_grad():
        encoded = [trained.head.encode(images.support(paths)).cpu().numpy() for paths in category.classes.values()]
    return SupportSet(tuple(photos), np.concatenate(encoded))


def _threshold(inputs: FitInputs, store: Store) -> float | None:
    """Return detection's threshold; None where too few good images are there to hold some out."""
    try:
        scores = store.get(inputs.good_scores)["scores"]
    except BadInput:
        return None
    return threshold(scores, inputs.config.detection.false_alarms)


def _left_out(learner: Learner, head: Head, support: SupportSet, inputs: FitInputs) -> np.ndarray:
    """Return scores of each photo by a head that has not seen it, float32 [n, C].

    Where training precedes them, one photo of each class is left out at a time.
    """
    if follows_from_photos(inputs.config):
        return left_out_scores(head, support, inputs.config.compute.device)
    scores = np.full((len(support.photos), len(support.classes)), np.nan, np.float32)
    rows = {path: row for row, path in enumerate(inputs.category.defects)}
    if inputs.averages is None and min(map(len, inputs.support.values())) > 1:
        for path, of_path in leave_one_out_scores(learner, inputs.support).items():
            scores[rows[path]] = of_path
    return scores
