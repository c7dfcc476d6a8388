"""Images of a fold before and after its head, as points: what t-SNE draws (paper, figures 7 to 20)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from fsamc.errors import BadInput
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.learners import TrainedHead, pretrained_head
from fsamc.fold.stopwatch import Stopwatch
from fsamc.hardware import threads
from fsamc.representation.represented import RepresentedSet
from fsamc.store.store import Store

_PART = 1 << 24  # numbers of all images' maps held at once; a memory bound


@dataclass(frozen=True, kw_only=True)
class Embeddings:
    """Support and queries of one fold, n images on the whole, the support first.

    Attributes:
        before: float32 [n, d], what the head is given: the flattened vectors or maps, turned to their principal axes.
            No axis is left out, so the distances are those between them.
        after: float32 [n, e], what the head makes of them: its embeddings, or, of a head that judges pairs, the
            logits of an image against every class.
        labels: int64 [n], indices into `classes`.
        is_support: bool [n].
        predicted: int64 [n], the head's answers, on the support too.
        classes: defect classes in label order.
        paths: of the images, relative to the category.
    """

    before: np.ndarray
    after: np.ndarray
    labels: np.ndarray
    is_support: np.ndarray
    predicted: np.ndarray
    classes: tuple[str, ...]
    paths: tuple[str, ...]


def fold_embeddings(inputs: FoldInputs, store: Store) -> Embeddings:
    """Return the images of a fold before and after its head, which is trained as `run_fold` trains it.

    Raises:
        BadInput: as `run_fold`; the head sees images alone, and has neither maps nor embeddings; or the fold has no
            queries to show, being scored on its support.
    """
    if inputs.config.scoring.by == "support":
        raise BadInput("folds.score is support: there are no queries to embed beside the support")
    if inputs.sees_images:
        kind = inputs.config.head.kind
        raise BadInput(f"head.kind is {kind}, which sees images alone and embeds nothing else; choose another")
    both = (inputs.support, inputs.queries)
    support, queries = ([path for paths in of.values() for path in paths] for of in both)
    paths, watch = support + queries, Stopwatch()
    with threads(inputs.config.compute):
        inputs.build_missing(store, watch)
        images = FoldImages(inputs, store, watch)
        trained = pretrained_head(images).trained_on(inputs.support)
        scores = np.concatenate([trained.scores(support), trained.scores(queries)])
        return Embeddings(
            before=principal_coordinates(trained.images.queries, images.rows(paths)),
            after=scores if trained.head.judges_pairs else _embedded(trained, paths),
            labels=np.array([label for of in both for label, of_class in enumerate(of.values()) for _ in of_class]),
            is_support=np.arange(len(paths)) < len(support),
            predicted=scores.argmax(1),
            classes=tuple(inputs.category.classes),
            paths=tuple(paths),
        )


def principal_coordinates(images: RepresentedSet, rows: Sequence[int]) -> np.ndarray:
    """Return coordinates of flattened values along their own principal axes, float32 [n, d], d < n: they are rotated.

    Read off the eigenvectors of the centred n x n matrix of inner products, which is summed over parts of the values:
    the maps, some megabytes each, are never all in memory.
    """
    n, (places, dim, _) = len(rows), images.shape
    step = max(1, _PART // (n * dim))
    inner = np.zeros((n, n))
    for first in range(0, places, step):
        inner += _inner_products(images.part(slice(first, first + step)), rows)
    inner -= inner.mean(0)
    inner -= inner.mean(1, keepdims=True)
    values, vectors = np.linalg.eigh(inner)
    kept = values > values[-1] * n * np.finfo(np.float32).eps
    values, vectors = values[kept][::-1], vectors[:, kept][:, ::-1]
    return np.asarray(vectors * np.sqrt(values), dtype=np.float32)


def _inner_products(images: RepresentedSet, rows: Sequence[int]) -> np.ndarray:
    """Return those between the images' values, float64 [n, n]."""
    flat = images.take(rows).values.flatten(1)
    return (flat @ flat.T).double().cpu().numpy()


@torch.no_grad()
def _embedded(trained: TrainedHead, paths: Sequence[str]) -> np.ndarray:
    """Return the head's embeddings, float32 [n, e]."""
    return np.concatenate(
        [trained.head.encode(batch).flatten(1).cpu().numpy() for batch in trained.images.batches(paths)]
    )
