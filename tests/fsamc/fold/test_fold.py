from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any

import cv2
import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fsamc.artifacts.pseudo_set import PseudoSet
from fsamc.config.compute import Compute
from fsamc.config.dotted import updated
from fsamc.data.category import Category
from fsamc.data.textures import Textures
from fsamc.errors import BadInput
from fsamc.fold.config import FoldConfig
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.result import FoldResult
from fsamc.hardware import threads
from fsamc.heads.base import Head, make_head
from fsamc.representation.represented import Represented, concatenate
from fsamc.seeds import torch_generator
from fsamc.store.store import Store
from fsamc.training.episodes import pretraining_round
from tests.fsamc.artifacts.test_artifacts import features_by_hand
from tests.fsamc.layouts import copy_category

CHANNEL = {"representation.scale": "channel", "representation.parts": ("residual", "raw")}
CHANGES: dict[str, dict[str, Any]] = {
    "contrastive": {},
    "prototype": {
        "head.kind": "prototype",
        "features.backbone": "resnet18",
        "features.weights": "random",
        "views.support": "all",
        "views.queries": "flips",
    },
    "everything else": {
        "shots": 3,
        "support.mean": "image",
        "pseudo.residual": "bank",
        "pseudo.foreground": "auto",
        "representation.parts": ("raw",),
        "features.precision": "bf16",
        "features.fit": "letterbox",
        "head.pool": "flatten",
    },
    "padim": {"reference.kind": "padim", "detection.enabled": True, "pseudo.residual": "bank", "shots": 3},
    "spade": {"reference.kind": "spade", "reference.images": 2, "pseudo.residual": "bank", **CHANNEL},
    "cpr": {"reference.kind": "cpr", "reference.images": 2, "reference.words": 4, "support.mean": "image"},
}


def content(result: FoldResult) -> dict[str, Any]:
    """Everything but the times, as JSON gives it back."""
    whole = json.loads(result.to_json())
    del whole["stages"]
    return whole


OTHER_PROCESS = """
import sys, json
from pathlib import Path
import numpy, torch
from fsamc.fold.config import FoldConfig
from fsamc.data.category import load_category
from fsamc.fold.run import run_fold
from fsamc.store.store import Store
from fsamc.data.textures import load_textures

data, textures, cache, *configs = sys.argv[1:]
category, textures, store = load_category(Path(data), "tiles"), load_textures(Path(textures)), Store(Path(cache))
torch.manual_seed(99), numpy.random.seed(99), torch.set_num_threads(2)
for text in reversed(configs):
    config = FoldConfig.model_validate_json(text)
    print(run_fold(category, config, seed=1, store=store, textures=textures).to_json())
"""


def test_the_same_bit_for_bit_in_another_process_from_files_made_in_another_order(
    run, tmp_path, tiny_category, tiny_textures, tiny_config
):
    data, textures = (
        copy_category(tiny_category, tmp_path / "data"),
        shutil.copytree(tiny_textures.folder, tmp_path / "dtd"),
    )
    every = [CHANGES[name] for name in ("prototype", "everything else", "padim")]
    configs = [updated(tiny_config, changes).model_dump_json() for changes in every]
    command = [sys.executable, "-c", OTHER_PROCESS, str(data), str(textures), str(tmp_path / "cache"), *configs]
    environment = {**os.environ, "PYTHONHASHSEED": "5"}
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    there = [content(FoldResult.from_json(line)) for line in reversed(lines)]
    for _ in range(2):  # the second time all is in the store
        assert there == [content(run(changes)) for changes in every]


@pytest.mark.parametrize("name", ["contrastive", "prototype"])
def test_another_seed_gives_other_scores_on_the_same_images(run, name):
    one, other = run(CHANGES[name]), run(CHANGES[name], seed=2)
    assert (one.support, one.images, one.truth) == (other.support, other.images, other.truth)
    assert one.scores != other.scores
    assert one.key != other.key


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_result_says_hangs_together(run, tiny_category, tiny_config, tiny_textures, name):
    draw = len(name) % 3
    result, config = run(CHANGES[name], draw=draw), updated(tiny_config, CHANGES[name])
    support, queries = (choose(config.shots, draw) for choose in (tiny_category.support, tiny_category.queries))
    assert (result.support, result.draw) == (support, draw)
    assert result.images == tuple(path for paths in queries.values() for path in paths)
    assert result.excluded == len(tiny_category.excluded(config.shots, draw))
    scores = np.array(result.scores)
    assert scores.shape == (result.queries, 3)
    assert np.isfinite(scores).all()
    assert result.predicted == tuple(scores.argmax(1).tolist())
    assert [result.classes[label] for label in result.truth] == [path.split("/")[1] for path in result.images]
    assert result.correct == sum(np.array(result.truth) == np.array(result.predicted))
    assert result.accuracy == result.correct / result.queries
    assert (result.category, result.seed, result.shots, result.head) == ("tiles", 1, config.shots, config.head.kind)
    assert result.key == FoldInputs(tiny_category, config, seed=1, draw=draw, textures=tiny_textures).key
    assert result.rounds == len(result.learning) == (0 if name == "prototype" else 3)
    stages = {"inputs", "classify"} if name == "prototype" else {"inputs", "pretrain", "finetune", "classify"}
    stages |= {"detect"} if config.detection.enabled else set()
    assert set(result.stages) == stages
    assert result.seconds == pytest.approx(sum(result.stages.values()))
    assert FoldResult.from_json(result.to_json()) == result


def squares(category: Category, pictures: list[tuple[str, ...]]) -> np.ndarray:
    """Averages of 64 x 64 images, uint8 [n, 64, 64, 3]."""
    read = [np.stack([np.array(Image.open(category.folder / path)) for path in paths]) for paths in pictures]
    return np.stack([np.rint(one.astype(float).mean(0)).astype(np.uint8) for one in read])


def features_of(pixels: np.ndarray) -> np.ndarray:
    """Patch features [n, P, D] of square images by the definition, rounded as they are kept."""
    return features_by_hand(pixels, 16).astype(float)


RANKS = [0, 0, 2, 4, 9, 18, 34]  # 64^(i/7) rounded down, from 0


class Slow:
    """Images as heads on vectors see them, from the definitions; the bank is all of the good patches."""

    def __init__(self, category: Category, config: FoldConfig) -> None:
        self.category, self.config, self.settings = category, config, config.representation
        self.good = features_of(squares(category, [(path,) for path in category.train]))
        self.bank = self.good.reshape(-1, 16)
        self.covariance = np.cov(self.bank.T, bias=True)
        self.spread = self.bank.std(0)

    @property
    def units(self) -> np.ndarray:
        """What a part is multiplied by, [D, D]: whitening by the symmetric root."""
        if self.settings.scale == "covariance":
            share, mean = self.settings.shrinkage, np.trace(self.covariance) / 16
            shrunk = (1 - share) * self.covariance + share * mean * np.eye(16)
            return np.linalg.inv(scipy.linalg.sqrtm(shrunk).real)
        return np.diag(1 / self.spread) if self.settings.scale == "channel" else np.eye(16)

    def vector(self, features: np.ndarray, normal: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Parts of the weighted mean of the k most anomalous patches, each of length 1, and the profile."""
        k, order = self.settings.patches, np.argsort(-distances, kind="stable")
        excess = distances[order[:k]] - distances[order[k]]
        weights = excess / excess.sum() if self.settings.weights == "excess" else np.full(k, 1 / k)
        patch, below = weights @ features[order[:k]], weights @ normal[order[:k]]
        parts = {"residual": patch - below, "centred": patch - self.bank.mean(0), "raw": patch}
        scaled = [parts[name] @ self.units for name in self.settings.parts]
        unit = np.concatenate([one / np.linalg.norm(one) for one in scaled]) / len(scaled) ** 0.5
        if not self.settings.extent:
            return unit
        profile = np.log(1 + distances[order[RANKS]] / np.sqrt(np.trace(self.covariance) / 16))
        return np.concatenate([unit, self.settings.extent * profile])

    def vectors(self, features: np.ndarray, normal: np.ndarray | None = None) -> np.ndarray:
        """Return vectors [n, E] of [n, P, D]; `normal` is what is subtracted instead of the nearest rows."""
        if normal is None:
            normal = self.bank[np.linalg.norm(features[:, :, None] - self.bank, axis=-1).argmin(-1)]
        distances = np.linalg.norm(features - normal, axis=-1)
        return np.stack([self.vector(*one) for one in zip(features, normal, distances, strict=True)])

    def of(self, pictures: list[tuple[str, ...]]) -> np.ndarray:
        return self.vectors(features_of(squares(self.category, pictures)))

    def represented(self, vectors: np.ndarray) -> Represented:
        """Return vectors as one view and a profile."""
        dim = 16 * len(self.settings.parts)
        both = torch.from_numpy(vectors).float()
        return Represented(both[:, None, :dim], both[:, dim:])


def on_sphere(vector: np.ndarray, dim: int) -> np.ndarray:
    return np.concatenate([vector[:dim] / np.linalg.norm(vector[:dim]), vector[dim:]])


def cosines(queries: np.ndarray, anchors: np.ndarray, *, centre: float) -> np.ndarray:
    middle = centre * anchors.mean(0)
    one, other = queries - middle, anchors - middle
    return one @ other.T / np.linalg.norm(one, axis=1)[:, None] / np.linalg.norm(other, axis=1)


# The most anomalous residuals in channels' deviations, by plain cosine.
CLASSIC = {"representation.parts": ("residual",), "representation.scale": "channel", "representation.extent": 0.0}
CLASSIC |= {"head.kind": "prototype", "head.centre": 0.0}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"shots": 3, "support.mean": "image"},
        {"shots": 1, "representation.patches": 1},
        {"support.mean": "residual"},
        {"representation.parts": ("raw", "centred"), "representation.shrinkage": 0.5, "head.centre": 0.0},
        CLASSIC,
        {**CLASSIC, "support.mean": "residual"},
        {**CLASSIC, "representation.weights": "uniform", "representation.scale": "none"},
        {**CLASSIC, "representation.parts": ("raw",)},
    ],
    ids=str,
)
def test_a_prototype_fold_is_the_definitions(run, tiny_category, tiny_config, changes):
    whole = {"head.kind": "prototype", "reference.ratio": 1.0, **changes}
    config, result = updated(tiny_config, whole), run(whole)
    slow, dim = Slow(tiny_category, config), 16 * len(config.representation.parts)
    anchors = []
    for paths in result.support.values():
        together = config.support.mean == "image"
        vectors = slow.of([paths] if together else [(path,) for path in paths])
        mean = vectors.mean(0)
        anchors.append(on_sphere(mean, dim) if config.support.mean == "residual" else mean)
    queries = slow.of([(path,) for path in result.images])
    expected = cosines(queries, np.stack(anchors), centre=config.head.centre)
    np.testing.assert_allclose(result.scores, expected, atol=2e-3)


@pytest.mark.parametrize("parts", [("residual",), ("raw",)])
def test_padims_distances_say_where_to_look_and_its_means_what_is_subtracted(run, tiny_category, tiny_config, parts):
    changes = {**CLASSIC, "shots": 1, "representation.parts": parts, "representation.scale": "none"}
    changes |= {"reference.kind": "padim", "reference.channels": 16}
    config, result = updated(tiny_config, changes), run(changes)
    slow = Slow(tiny_category, config)
    means = slow.good.mean(0)
    centred = slow.good - means
    covariances = np.einsum("gpd,gpe->pde", centred, centred) / 4 + config.reference.ridge * np.eye(16)

    def of(paths: Iterable[str]) -> np.ndarray:
        features = features_of(squares(tiny_category, [(path,) for path in paths]))
        apart = features - means
        distances = np.sqrt(np.einsum("npd,pde,npe->np", apart, np.linalg.inv(covariances), apart))
        return np.stack([slow.vector(one, means, far) for one, far in zip(features, distances, strict=True)])

    anchors = np.concatenate([of(paths) for paths in result.support.values()])
    np.testing.assert_allclose(result.scores, of(result.images) @ anchors.T, atol=2e-3)


def fresh_head(config: FoldConfig, seed: int) -> Head:
    generator = torch_generator(seed, "head weights")
    settings = config.representation
    shape = (1, 16 * len(settings.parts), len(RANKS) if settings.extent else 0)
    return make_head(config.head, shape=shape, generator=generator)


def step(
    head: Head, optimiser: torch.optim.Optimizer, query: Represented, labels: Tensor, support: Represented
) -> Tensor:
    logits = head.relate(head.encode(query), head.encode(support).detach())
    optimiser.zero_grad()
    F.cross_entropy(logits, labels).backward()
    optimiser.step()
    return logits


def slowly_pretrained(slow: Slow, head: Head, wanted: PseudoSet) -> list[float]:
    """Train `head` on rounds of pseudo-classes; the accuracy of each."""
    config, made, learning = slow.config, list(wanted.defects()), []
    sources = slow.good[[one.source for one in made]] if config.pseudo.residual == "source" else None
    pseudo = slow.represented(slow.vectors(features_of(np.stack([one.image for one in made])), sources))
    generator = torch_generator(1, "pretraining rounds")
    optimiser = torch.optim.Adam(head.parameters(), lr=config.pretrain.lr)
    n_classes, n_queries = config.pretrain.pseudo_classes, config.pretrain.queries
    for _ in range(config.pretrain.max_rounds):
        labels = np.array([one.label for one in made])
        drawn = pretraining_round(labels, n_classes=n_classes, n_queries=n_queries, generator=generator)
        truth = torch.from_numpy(drawn.labels)
        logits = step(head, optimiser, pseudo.take(drawn.queries), truth, pseudo.take(drawn.support))
        learning.append(float((logits.argmax(1) == truth).float().mean()))
    return learning


def slowly_finetuned(head: Head, support: list[Represented], config: FoldConfig) -> None:
    """Train `head` on two shots of each class."""
    optimiser = torch.optim.Adam(head.parameters(), lr=config.finetune.lr)
    shots = [concatenate([of_class.take([j]) for of_class in support]) for j in (0, 1)]
    for _ in range(config.finetune.epochs[2]):
        for label in range(len(support)):
            for query in (0, 1):
                step(head, optimiser, shots[query].take([label]), torch.tensor([label]), shots[1 - query])


def slow_contrastive(category: Category, textures: Textures, config: FoldConfig) -> tuple[np.ndarray, list[float]]:
    """Scores and learning of a contrastive fold of seed 1 and draw 0, with its loops written out."""
    slow, head = Slow(category, config), fresh_head(config, 1).train()
    wanted = FoldInputs(category, config, seed=1, textures=textures).pseudo
    learning = slowly_pretrained(slow, head, wanted) if wanted else []
    supports = category.support(config.shots).values()
    support = [slow.represented(slow.of([(path,) for path in paths])) for paths in supports]
    if config.shots == 2:
        slowly_finetuned(head, support, config)
    head.eval()
    with torch.no_grad():
        anchors = torch.stack([head.encode(of_class).mean(0) for of_class in support])
        asked = [(path,) for paths in category.queries(config.shots).values() for path in paths]
        return head.relate(head.encode(slow.represented(slow.of(asked))), anchors).numpy(), learning


PRETRAINED = {"shots": 1, "pretrain.max_rounds": 20, "pretrain.lr": 3e-3}


@pytest.mark.parametrize(
    "changes",
    [
        {"pretrain.enabled": False},
        {},
        {
            "representation.scale": "none",
            "representation.parts": ("raw",),
            "representation.extent": 0,
            "head.centre": 0.0,
        },
        PRETRAINED,
        {**PRETRAINED, "pseudo.residual": "bank"},
        {**PRETRAINED, "representation.scale": "none"},
    ],
    ids=str,
)
def test_a_contrastive_fold_is_the_definitions(run, tiny_category, tiny_textures, tiny_config, changes):
    """With channels enough that training does not hang on the rounding of one or two."""
    whole = {"reference.ratio": 1.0, "finetune.epochs.2": 3, "head.hidden": (64, 32), **CHANNEL, **changes}
    expected, learning = slow_contrastive(tiny_category, tiny_textures, updated(tiny_config, whole))
    result, untrained = run(whole), run({**whole, "pretrain.enabled": False, "finetune.epochs": {}})
    assert len(result.learning) == len(learning)
    assert np.abs(np.subtract(result.learning, learning)).sum() < 0.06 * max(len(learning), 1)
    apart, moved = (np.abs(np.array(each) - result.scores).max() for each in (expected, untrained.scores))
    assert apart < 0.4  # of logits up to 14
    assert moved > 2, "training must show"


def test_each_artifact_is_computed_once_for_all_folds(run, tmp_path):
    for seed in (1, 2):
        for draw in (0, 1):
            for changes in ({}, {"head.kind": "prototype"}, {"shots": 1}, {**CHANNEL, "pretrain.lr": 0.01}):
                run(changes, seed=seed, draw=draw, store=Store(tmp_path))
    built = Counter(build.kind for build in Store(tmp_path).builds())
    of_pseudo = {"pseudo": 1, "sourcerows": 1}
    assert built == {"features": 2, "statistics": 1, "bank": 2, "nearest": 2, "vectors": 3, **of_pseudo}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"shots": 5}, "5 shots and a query need 6 groups"),
        ({"pretrain.pseudo_classes": 4}, "holds 3 texture classes"),
        ({"pseudo.textures_per_class": 3}, "pseudo.textures_per_class asks for 3"),
        ({"support.shots_from": "files", "support.files": ["tiles/test/crack/000.png"]}, "2 shots need 2"),
    ],
)
def test_what_cannot_be_scored_is_told_before_anything_is_written(run, tmp_path, changes, problem):
    with pytest.raises(BadInput, match=problem):
        run(changes, store=Store(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


def test_textures_are_needed_by_a_head_that_pretrains_and_by_no_other(run):
    with pytest.raises(BadInput, match="--textures"):
        run(textures=None)
    assert run({"pretrain.enabled": False}, textures=None).rounds == 0
    assert run({"head.kind": "prototype"}, textures=None).scores == run({"head.kind": "prototype"}).scores


def test_threads_are_set_inside_and_put_back_whatever_happens():
    def found() -> tuple[int, int]:
        return torch.get_num_threads(), cv2.getNumThreads()

    def fail() -> None:
        with threads(Compute(threads=3)):
            assert found() == (3, 3)
            raise RuntimeError("half-way")

    before = found()
    with pytest.raises(RuntimeError, match="half-way"):
        fail()
    assert found() == before
