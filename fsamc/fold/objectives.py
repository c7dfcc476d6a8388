"""Scores of a fold that need none of its queries: what a choice among configurations may honestly go by.

`support`: each support image is named by a head that was trained on the others. `pseudo`: pseudo-defects that no
pretraining has seen are told apart after n shots of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from fsamc.config.scoring import Scoring
from fsamc.data.category import PathsByClass, leave_one_out
from fsamc.fold.fold_images import FoldImages, in_batches
from fsamc.fold.learners import Learner, pretrained_head, support_means
from fsamc.seeds import torch_generator


def leave_one_out_scores(learner: Learner, support: PathsByClass) -> dict[str, np.ndarray]:
    """Return scores float32 [C] of every support image, by a learner that has not seen it.

    For k = 1 to n, a learner is trained on all but the k-th image of every class, so on n - 1 shots, and names the C
    images left out. What precedes the support, a head's pretraining, is done once and shared.
    """
    scores: dict[str, np.ndarray] = {}
    for left_out, others in leave_one_out(support):
        paths = [path for (path,) in left_out.values()]
        scores |= dict(zip(paths, learner.trained_on(others).scores(paths), strict=True))
    return scores


def support_accuracy(scores: Mapping[str, np.ndarray], images: PathsByClass) -> float:
    """Return the share of some support images, by class, that are named rightly; NaN where there is none."""
    right = [scores[path].argmax() == label for label, paths in enumerate(images.values()) for path in paths]
    return float(np.mean(right)) if right else float("nan")


@dataclass(frozen=True)
class Task:
    """An n-shot task on pseudo-defects.

    Attributes:
        support: int64 [C, n], rows of the pseudo-defects.
        queries: int64 [Q], all other held-out rows of these pseudo-classes.
        truth: int64 [Q], positions among the C.
    """

    support: np.ndarray
    queries: np.ndarray
    truth: np.ndarray


def held_out(labels: np.ndarray, scoring: Scoring) -> np.ndarray:
    """Return which pseudo-defects are held out of pretraining, bool [n]: of each pseudo-class the last ones."""
    mask = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        mask[rows[len(rows) - scoring.held_out_of(len(rows)) :]] = True
    return mask


def draw_task(labels: np.ndarray, rows: np.ndarray, *, n_classes: int, shots: int, generator: torch.Generator) -> Task:
    """Draw `n_classes` pseudo-classes, or all if they are fewer, and `shots` images of each among `rows`.

    Args:
        labels: int64 [n], the pseudo-class of every pseudo-defect.
        rows: int64, those that may be drawn.
        n_classes: pseudo-classes of the task.
        shots: support images of each; all others are queries.
        generator: source of randomness.
    """
    classes = np.unique(labels[rows])
    drawn = classes[torch.randperm(len(classes), generator=generator).numpy()[:n_classes]]
    support, queries = [], []
    for label in drawn:
        of_class = rows[labels[rows] == label]
        of_class = of_class[torch.randperm(len(of_class), generator=generator).numpy()]
        support.append(of_class[:shots])
        queries.append(of_class[shots:])
    truth = np.repeat(np.arange(len(drawn)), [len(of_class) for of_class in queries])
    return Task(np.stack(support), np.concatenate(queries), truth)


def pseudo_accuracy(images: FoldImages) -> float:
    """Return the mean accuracy over n-shot tasks on pseudo-defects that the head was not pretrained on.

    The head is pretrained anew, on the pseudo-defects that are not held out. A task has as many pseudo-classes as the
    category has defect classes; its images are treated as those that are to be named in earnest, minus rows of the
    bank. Where support images are averaged pixel by pixel, here what the head sees is: pictures of pseudo-defects are
    not kept. The pseudo-classes themselves are those of pretraining, so a pretrained head is flattered.
    """
    inputs, config, labels = images.inputs, images.config, images.pseudo_labels
    out = held_out(labels, config.scoring)
    pretrained = pretrained_head(images, rows=np.flatnonzero(~out))
    pseudo = images.pseudo_as_queries()
    accuracies = []
    for number in range(config.scoring.tasks):
        task = draw_task(
            labels,
            np.flatnonzero(out),
            n_classes=len(inputs.category.classes),
            shots=config.shots,
            generator=torch_generator(inputs.seed, "pseudo task", inputs.draw, number),
        )
        support = [pseudo.take(rows) for rows in task.support]
        trained = pretrained.trained_on_represented(support, support_means(support, config))
        scores = trained.scores_of(in_batches(pseudo, task.queries))
        accuracies.append(float((scores.argmax(1) == task.truth).mean()))
    return float(np.mean(accuracies))
