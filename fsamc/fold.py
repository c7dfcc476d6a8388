"""One fold, from images to accuracy: the whole method on one page.

    images ─ backbone ─ patch features ─┬─ coreset ─ bank ─┐
    good images + textures ─ pseudo-defects ─ patch features ├─ residuals ─ episodes ─ head ─ accuracy
    support and query images ─ patch features ──────────────┘

A fold is a pure function of (files' contents, configuration, seed, draw).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch

from fsamc import training
from fsamc.artifacts import Nearest
from fsamc.compute import Stopwatch, threads
from fsamc.config import FoldConfig
from fsamc.dataset import Category
from fsamc.errors import BadInput
from fsamc.heads.base import Head, head_class
from fsamc.inputs import Inputs, fold_inputs, fold_key
from fsamc.residual import Maps, ResidualMaps, channel_scale, concatenate, mean
from fsamc.result import FoldResult
from fsamc.seeds import torch_generator
from fsamc.store import Store
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
        BadInput: the category is too small for `config.shots`, or textures are missing.
    """
    files = config.support.files
    if problem := category.problem(config.shots, draw, files=files):
        raise BadInput(problem)
    inputs = fold_inputs(category, config, seed=seed, draw=draw, textures=textures)
    support, queries = (choose(config.shots, draw, files=files) for choose in (category.support, category.queries))
    watch = Stopwatch()
    with threads(config.compute):
        _complete(inputs, store, watch)
        with watch.stage("inputs"):
            images = _Images(category, config, inputs, store)
        with watch.stage("classify"):  # residual maps of support and queries alike are made when a head takes them
            support_maps = [images.take(paths) for paths in support.values()]
        head = _fresh_head(config, support_maps[0], seed)
        accuracies = _train(head, config, inputs, support_maps, seed=seed, store=store, watch=watch)
        with watch.stage("classify"):
            anchors = _class_representations(head, config, support_maps, images.means())
            asked = [path for paths in queries.values() for path in paths]
            scores = _scores(head, images, asked, anchors)
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
        left_out=len(category.left_out(config.shots, draw, files=files)),
        rounds=len(accuracies),
        learning=tuple(accuracies),
        stages=watch.seconds,
    )


def _complete(inputs: Inputs, store: Store, watch: Stopwatch) -> None:
    """Build what is missing. Only the looking counts as this fold's own time."""
    with watch.stage("inputs"):
        missing = [artifact for artifact in inputs.artifacts() if not store.has(artifact)]
    for artifact in missing:
        store.get(artifact)


def _train(
    head: Head, config: FoldConfig, inputs: Inputs, support: list[Maps], *, seed: int, store: Store, watch: Stopwatch
) -> list[float]:
    """Pretrain and fine-tune, as far as the head learns; the accuracy of each pretraining round."""
    if not head.trained:
        return []
    accuracies: list[float] = []
    if inputs.pseudo is not None:
        with watch.stage("pretrain"):
            labels = np.asarray(store.get(inputs.pseudo)["labels"])
            rounds = torch_generator(seed, "pretraining rounds")
            maps = _pseudo_maps(config, inputs, store)
            accuracies = training.pretrain(head, maps, labels, config.pretrain, rounds)
    with watch.stage("finetune"):
        training.finetune(head, support, config.finetune)
    return accuracies


class _Images:
    """The category's defect images, by path."""

    def __init__(self, category: Category, config: FoldConfig, inputs: Inputs, store: Store) -> None:
        self._config, self._inputs, self._store = config, inputs, store
        self._maps = _residual_maps(config, inputs, inputs.test, store)
        self._rows = {path: row for row, path in enumerate(category.defects)}

    def take(self, paths: Iterable[str]) -> Maps:
        return self._maps.take([self._rows[path] for path in paths])

    def means(self) -> Maps | None:
        """Per class the maps of its pixelwise average, where the configuration asks for them."""
        if self._inputs.means is None:
            return None
        maps = _residual_maps(self._config, self._inputs, self._inputs.means, self._store)
        return maps.take(range(len(maps)))


def _residual_maps(config: FoldConfig, inputs: Inputs, nearest: Nearest, store: Store) -> ResidualMaps:
    return ResidualMaps(
        features=store.get(nearest.queries)["features"],
        normal=store.get(nearest.bank)["rows"],
        indices=store.get(nearest)["indices"],
        residual=config.residual,
        scale=_scale(config, inputs, store),
        device=config.compute.device,
    )


def _scale(config: FoldConfig, inputs: Inputs, store: Store) -> np.ndarray | None:
    return channel_scale(store.get(inputs.test.bank)["rows"]) if config.reference.scale == "bank" else None


def _pseudo_maps(config: FoldConfig, inputs: Inputs, store: Store) -> ResidualMaps:
    """Pseudo-defects minus the bank's rows, or minus the very image that each was made from."""
    if inputs.pseudo_nearest is not None:
        return _residual_maps(config, inputs, inputs.pseudo_nearest, store)
    assert inputs.pseudo is not None
    pseudo = store.get(inputs.pseudo)
    good = store.get(inputs.good)["features"]
    n_patches = good.shape[1]
    return ResidualMaps(
        features=pseudo["features"],
        normal=good.reshape(-1, good.shape[-1]),
        indices=pseudo["sources"][:, None] * n_patches + np.arange(n_patches),
        residual=config.residual,
        scale=_scale(config, inputs, store),
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
        return head.encode(means)
    if config.support.mean == "residual":
        return head.encode(concatenate([mean(maps) for maps in support]))
    return torch.stack([head.encode(maps).mean(0) for maps in support])


@torch.no_grad()
def _scores(head: Head, images: _Images, paths: list[str], anchors: torch.Tensor) -> np.ndarray:
    """Scores of the query images at `paths`, float32 [Q, C]."""
    head.eval()
    batches = [paths[i : i + _BATCH] for i in range(0, len(paths), _BATCH)]
    return np.concatenate([head.relate(head.encode(images.take(batch)), anchors).cpu().numpy() for batch in batches])
