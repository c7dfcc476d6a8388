"""One fold, from images to accuracy: the whole method on one page.

    images ─ backbone ─ patch features ─┬─ coreset ─ bank ─┐
    good images + textures ─ pseudo-defects ─ patch features ├─ residuals ─ episodes ─ head ─ accuracy
    support and query images ─ patch features ──────────────┘

A fold is a pure function of (files' contents, configuration, seed, draw).
"""

from __future__ import annotations

import numpy as np

from fsamc.compute import Stopwatch, threads
from fsamc.data.category import Category, PathsByClass
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.detection import Detected, detect
from fsamc.fold.fold_images import FoldImages, complete
from fsamc.fold.inputs import detection_inputs, fold_inputs, fold_key
from fsamc.fold.learners import ImageLearner, Learner, PretrainedHead, pretrained_head
from fsamc.fold.objectives import leave_one_out_scores, pseudo_accuracy, support_accuracy
from fsamc.fold.result import FoldResult
from fsamc.store.store import Store


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
        textures: what pseudo-defects are made of; needed if the configuration pretrains or is measured on them.

    Raises:
        BadInput: the category is too small for `config.shots` or for detection, or textures are missing.
    """
    category = category.with_classes(good=config.good)
    support, queries = support_and_queries(category, config, draw)
    asked = [path for paths in queries.values() for path in paths]
    inputs = fold_inputs(category, config, seed=seed, draw=draw, textures=textures)
    screening = detection_inputs(category, config, seed=seed)
    watch = Stopwatch()
    detected = Detected()
    with threads(config.compute):
        if screening is not None:
            complete(screening.artifacts(), store, watch)
            with watch.stage("detect"):
                detected = detect(category, screening, asked, config.detection, store)
        learner: Learner = (
            ImageLearner(category, config, seed, watch)
            if inputs is None
            else pretrained_head(FoldImages(category, config, inputs, store, watch), seed=seed)
        )
        left_out = _left_out(learner, config, support, watch)
        scores, epochs = _answers(learner, config, support, asked, left_out)
        measured: dict[str, float] = {}
        if "support" in config.scoring.measure:
            measured["support"] = support_accuracy(left_out, category.apart(support))
        if "pseudo" in config.scoring.measure:
            measured["pseudo"] = _pseudo(learner, watch, seed=seed, draw=draw)
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
        rounds=len(learner.rounds),
        learning=tuple(learner.rounds),
        finetuning=epochs,
        stages=watch.seconds,
        threshold=detected.threshold,
        anomaly=detected.anomaly,
        good_images=detected.good_images,
        good_anomaly=detected.good_anomaly,
        scored_by=config.scoring.by,
        measured=measured,
    )


def support_and_queries(category: Category, config: FoldConfig, draw: int) -> tuple[PathsByClass, PathsByClass]:
    """The support and the queries of a fold by class; scored on the support, those of it that can be left out.

    Raises:
        BadInput: the category is too small for its shots.
    """
    files, by = config.support.files, config.scoring.by
    if problem := category.problem(config.shots, draw, files=files, scored_by=by):
        raise BadInput(problem)
    support = category.support(config.shots, draw, files=files)
    return support, category.apart(support) if by == "support" else category.queries(config.shots, draw, files=files)


def _answers(
    learner: Learner, config: FoldConfig, support: PathsByClass, asked: list[str], left_out: dict[str, np.ndarray]
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Scores [Q, C] of the images asked for, and how fine-tuning on the whole support went."""
    if config.scoring.by == "support":
        return np.stack([left_out[path] for path in asked]), ()
    trained = learner.trained_on(support)
    return trained.scores(asked), tuple(trained.epochs)


def _left_out(learner: Learner, config: FoldConfig, support: PathsByClass, watch: Stopwatch) -> dict[str, np.ndarray]:
    """Scores [C] of the support images, each left out, where the configuration asks for them."""
    if not config.scoring.leaves_out:
        return {}
    with watch.stage("leave one out"):
        return leave_one_out_scores(learner, support)


def _pseudo(learner: Learner, watch: Stopwatch, *, seed: int, draw: int) -> float:
    assert isinstance(learner, PretrainedHead)  # a configuration that sees images alone cannot ask for it
    with watch.stage("pseudo tasks"):
        return pseudo_accuracy(learner.images, seed=seed, draw=draw)
