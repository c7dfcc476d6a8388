"""One fold, from images to accuracy: the whole method on one page.

    images ─ backbone ─ patch features ─┬─ coreset ─ bank ─┐
    good images + textures ─ pseudo-defects ─ patch features ├─ residuals ─ episodes ─ head ─ accuracy
    support and query images ─ patch features ──────────────┘

A fold is a pure function of (files' contents, configuration, seed, draw).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from fsamc.data.category import Category
from fsamc.data.textures import Textures
from fsamc.fold.config import FoldConfig
from fsamc.fold.defect_detection import detect
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.learners import Learner, PretrainedHead, TrainedHead, fold_learner
from fsamc.fold.objectives import leave_one_out_scores, pseudo_accuracy, support_accuracy
from fsamc.fold.result import FoldResult
from fsamc.fold.stopwatch import Stopwatch
from fsamc.hardware import threads
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
        store: where artifacts are looked up, and built if they are missing.
        textures: what pseudo-defects are made of; needed if the configuration pretrains or is measured on them.

    Raises:
        BadInput: the category is too small for `config.shots` or for detection, or textures are missing.
    """
    inputs, watch = FoldInputs(category, config, seed=seed, draw=draw, textures=textures), Stopwatch()
    paths = [path for of_class in inputs.queries.values() for path in of_class]
    with threads(config.compute):
        inputs.build_missing(store, watch)
        detection = detect(inputs, paths, store, watch)
        learner = fold_learner(inputs, store, watch)
        left_out = _left_out(learner, inputs, watch)
        scores, epochs = _scores(learner, inputs, paths, left_out)
        measured = _measured(learner, inputs, left_out, watch)
    return FoldResult(
        key=inputs.key,
        category=category.name,
        seed=seed,
        draw=draw,
        shots=config.shots,
        head=config.head.kind,
        classes=tuple(inputs.category.classes),
        support=inputs.support,
        images=tuple(paths),
        truth=tuple(label for label, of_class in enumerate(inputs.queries.values()) for _ in of_class),
        predicted=tuple(scores.argmax(1).tolist()),
        scores=tuple(tuple(row) for row in scores.tolist()),
        excluded=len(inputs.category.excluded(config.shots, draw, files=config.support.files)),
        rounds=len(learner.rounds),
        learning=tuple(learner.rounds),
        finetuning=epochs,
        stages=watch.seconds,
        threshold=detection.threshold,
        anomaly=detection.anomaly,
        good_images=detection.good_images,
        good_anomaly=detection.good_anomaly,
        scored_by=config.scoring.by,
        measured=measured,
        views=_views(learner, inputs),
    )


def _left_out(learner: Learner, inputs: FoldInputs, watch: Stopwatch) -> dict[str, np.ndarray]:
    """Return scores [C] of the support images, each left out in turn, where the configuration asks for them."""
    if not inputs.config.scoring.leaves_out:
        return {}
    with watch.stage("leave one out"):
        return leave_one_out_scores(learner, inputs.support)


def _scores(
    learner: Learner, inputs: FoldInputs, paths: Sequence[str], left_out: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, tuple[float, ...]]:
    """Return scores [Q, C] of the images at `paths`, and how fine-tuning on the whole support went."""
    if inputs.config.scoring.by == "support":
        return np.stack([left_out[path] for path in paths]), ()
    trained, pool = learner.trained_on(inputs.support), inputs.config.scoring.pool
    if pool.rounds:
        assert isinstance(trained, TrainedHead)  # a head that sees images has no means to move
        return trained.scores_in_pool(paths, pool), tuple(trained.epochs)
    return trained.scores(paths), tuple(trained.epochs)


def _views(learner: Learner, inputs: FoldInputs) -> dict[str, str]:
    """Return the views that are chosen for the whole support, where they are chosen, and why."""
    if inputs.turned_good is None:
        return {}
    assert isinstance(learner, PretrainedHead)  # only heads on vectors have views
    return asdict(learner.images.seen_with(inputs.support).views)


def _measured(
    learner: Learner, inputs: FoldInputs, left_out: Mapping[str, np.ndarray], watch: Stopwatch
) -> dict[str, float]:
    """Return the further scores that `scoring.measure` names."""
    measured: dict[str, float] = {}
    if "support" in inputs.config.scoring.measure:
        measured["support"] = support_accuracy(left_out, inputs.category.apart(inputs.support))
    if "pseudo" in inputs.config.scoring.measure:
        assert isinstance(learner, PretrainedHead)  # a configuration that sees images alone cannot ask for it
        with watch.stage("pseudo tasks"):
            measured["pseudo"] = pseudo_accuracy(learner.images)
    return measured
