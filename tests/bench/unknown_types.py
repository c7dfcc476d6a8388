"""Types left out of the support in turn, scores that may tell them from those shown, and bootstrapped intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from fsamc.classifier.calibration import CalibrationSettings
from fsamc.classifier.novelty import Novelty, NoveltySettings
from fsamc.data.category import Category, load_category
from fsamc.data.examination import with_pictures_grouped
from fsamc.fold.config import FoldConfig
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.stopwatch import Stopwatch
from fsamc.heads.base import make_head
from fsamc.heads.head_kinds import (
    CacheSettings,
    HeadSettings,
    LdaSettings,
    LogisticSettings,
    PrototypeSettings,
    RidgeSettings,
)
from fsamc.heads.sphere import on_sphere
from fsamc.store.store import Store

SHOTS, DRAWS = 5, range(1, 11)
REPLICATES = 500
HEADS: dict[str, HeadSettings] = {
    "prototype": PrototypeSettings(),
    "ridge": RidgeSettings(),
    "cache": CacheSettings(),
    "lda": LdaSettings(),
    "logistic": LogisticSettings(),
}
Score = Callable[[np.ndarray, Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class Photos:
    """All defect images of a category: vectors float32 [N, E], labels and groups int [N]."""

    category: Category
    vectors: np.ndarray

    @cached_property
    def rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.category.defects)}

    @cached_property
    def labels(self) -> np.ndarray:
        return np.repeat(
            np.arange(len(self.category.classes)), [len(paths) for paths in self.category.classes.values()]
        )

    @cached_property
    def groups(self) -> np.ndarray:
        return np.unique([self.category.group(path) for path in self.category.defects], return_inverse=True)[1]


@dataclass(frozen=True)
class Task:
    """A support of some types, and who is asked: rows of the photos; `left_out` is the type not shown, or none is."""

    photos: Photos
    draw: int
    left_out: int | None
    support: list[np.ndarray]
    rows: np.ndarray

    @property
    def queries(self) -> np.ndarray:
        return self.photos.vectors[self.rows]

    @property
    def labels(self) -> np.ndarray:
        return self.photos.labels[self.rows]

    @property
    def shown(self) -> np.ndarray:
        """Whether each query is of a type shown."""
        return self.labels != (-1 if self.left_out is None else self.left_out)


def tasks(photos: Photos, *, leave_out: bool, shots: int = SHOTS) -> Iterator[Task]:
    """Every draw, with each type left out in turn or none of them. No query is of a part that is in the support."""
    category = photos.category
    for draw in DRAWS:
        chosen = list(category.support(shots, draw).values())
        for left_out in range(len(chosen)) if leave_out else [None]:
            paths = [path for label, paths in enumerate(chosen) if label != left_out for path in paths]
            taken = {category.group(path) for path in paths}
            rows = np.array([row for path, row in photos.rows.items() if category.group(path) not in taken])
            support = [
                photos.vectors[[photos.rows[path] for path in paths]]
                for label, paths in enumerate(chosen)
                if label != left_out
            ]
            yield Task(photos, draw, left_out, support, rows)


def photos_of(root: Path, name: str, backbone: str, store: Store, *, seed: int) -> Photos:
    """Encode all defect images of a category as the default head does."""
    category = with_pictures_grouped(load_category(root, name))
    features = {"backbone": backbone, "precision": "fp32"}
    inputs = FoldInputs(category, FoldConfig.model_validate({"features": features, "shots": SHOTS}), seed=seed)
    images = FoldImages(inputs, store, Stopwatch()).queries
    return Photos(category, on_sphere(images.take(range(len(images)))).numpy())


def head_scores(kind: str, queries: np.ndarray, support: Sequence[np.ndarray]) -> np.ndarray:
    """What a head of this kind, fitted to the support, says of queries: float32 [Q, C]."""
    head = make_head(HEADS[kind], shape=(1, queries.shape[1], 0), generator=torch.Generator())
    anchors = [head.represent(torch.from_numpy(images)) for images in support]
    with torch.no_grad():
        return head.relate(torch.from_numpy(queries), anchors).numpy()


def nearest(queries: np.ndarray, support: Sequence[np.ndarray]) -> np.ndarray:
    """Distance to the nearest support image, [Q]."""
    return torch.cdist(torch.from_numpy(queries), torch.from_numpy(np.concatenate(support))).amin(1).numpy()


def own_relative(queries: np.ndarray, support: Sequence[np.ndarray]) -> np.ndarray:
    """How much less like each type than its images are like each other, in cosines about the support, at the least."""
    middle = np.mean([images.mean(0) for images in support], axis=0)
    types = [_unit(images - middle) for images in support]
    own = [((t @ t.T).sum() - len(t)) / (len(t) * (len(t) - 1)) for t in types]
    return np.min([one - (_unit(queries - middle) @ t.T).mean(1) for one, t in zip(own, types, strict=True)], axis=0)


SCORES: dict[str, Score] = {
    "novelty": lambda queries, support: Novelty(support, NoveltySettings())(queries),
    "largest score, prototype": lambda queries, support: -head_scores("prototype", queries, support).max(1),
    "largest score, ridge": lambda queries, support: -head_scores("ridge", queries, support).max(1),
    "nearest support image": nearest,
    "nearest and mean, both": lambda queries, support: nearest(queries, support) + _to_mean(queries, support),
    "margin of the largest score": lambda queries, support: -_margin(head_scores("prototype", queries, support)),
    "energy of the scores": lambda queries, support: -_energy(head_scores("prototype", queries, support)),
    "likeness beside the type's own": own_relative,
    "Mahalanobis": lambda queries, support: Novelty(support, NoveltySettings(relative=0))(queries),
    "relative Mahalanobis": lambda queries, support: Novelty(support, NoveltySettings(relative=1))(queries),
}


def _to_mean(queries: np.ndarray, support: Sequence[np.ndarray]) -> np.ndarray:
    means = torch.from_numpy(np.stack([images.mean(0) for images in support]))
    return torch.cdist(torch.from_numpy(queries), means).amin(1).numpy()


def _margin(scores: np.ndarray) -> np.ndarray:
    return np.diff(np.sort(scores, 1)[:, -2:], axis=1)[:, 0]


def _energy(scores: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(scores / CalibrationSettings().temperatures["prototype"], axis=1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class Bootstrap:
    """Replicates of a category's draws and images, the same for all that is measured on it.

    The first has each draw and image once; its statistic is the estimate.
    """

    def __init__(self, photos: Photos, *, replicates: int = REPLICATES) -> None:
        generator = np.random.default_rng(0)
        n_groups = photos.groups.max() + 1
        counts = generator.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=replicates)
        self.images = np.vstack([np.ones(len(photos.groups)), counts[:, photos.groups]])  # [1 + replicates, N]
        drawn = generator.multinomial(len(DRAWS), np.full(len(DRAWS), 1 / len(DRAWS)), size=replicates)
        self.draws = np.vstack([np.ones(len(DRAWS)), drawn])

    def auroc(self, task: Task, strange: np.ndarray) -> np.ndarray:
        """The share of pairs, one of a type shown and one of another, that are in order, in each replicate."""
        shown = task.shown
        wins = np.sign(strange[~shown] - strange[shown][:, None]) / 2 + 0.5
        known, new = self.images[:, task.rows[shown]], self.images[:, task.rows[~shown]]
        with np.errstate(invalid="ignore"):  # a replicate of a few images may lack one side
            return ((known @ wins) * new).sum(1) / (known.sum(1) * new.sum(1))

    def rate(self, task: Task, event: np.ndarray, among: np.ndarray) -> np.ndarray:
        """The share of queries `among` for which something is so, each type counting alike, in each replicate."""
        labels = task.labels[among]
        shares = []
        for label in np.unique(labels):
            weights = self.images[:, task.rows[among][labels == label]]
            with np.errstate(invalid="ignore"):
                shares.append(weights @ event[among][labels == label] / weights.sum(1))
        return np.nanmean(shares, axis=0)

    def over_draws(self, of_tasks: Sequence[tuple[Task, np.ndarray]]) -> np.ndarray:
        """Average what tasks gave over draws and types left out, in each replicate."""
        values = np.stack([values for _, values in of_tasks])
        weights = np.stack([self.draws[:, task.draw - 1] for task, _ in of_tasks]) * ~np.isnan(values)
        return (weights * np.nan_to_num(values)).sum(0) / weights.sum(0)


def interval(values: np.ndarray, *, digits: int = 3, sign: str = "") -> str:
    """An estimate and its 95 % interval, for a table."""
    low, high = np.percentile(values[1:], [2.5, 97.5])
    return f"{values[0]:{sign}.{digits}f} ({low:{sign}.{digits}f} to {high:{sign}.{digits}f})"
