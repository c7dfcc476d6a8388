"""Leave-one-out on the support and held-out pseudo-defects, against the definitions written out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from fsamc.config.dotted import updated
from fsamc.config.scoring import Scoring
from fsamc.data.category import leave_one_out, load_category
from fsamc.errors import BadInput
from fsamc.fold import pretraining
from fsamc.fold.config import FoldConfig
from fsamc.fold.fold_images import FoldImages
from fsamc.fold.inputs import FoldInputs
from fsamc.fold.learners import pretrained_head
from fsamc.fold.objectives import draw_task, held_out, leave_one_out_scores, pseudo_accuracy, support_accuracy
from fsamc.fold.pretraining import PretrainingMemo
from fsamc.fold.result import FoldResult
from fsamc.fold.run import run_fold
from fsamc.fold.stopwatch import Stopwatch
from fsamc.seeds import torch_generator
from fsamc.store.store import Store
from tests.fsamc.layouts import write_category

PROTOTYPE = {"head.kind": "prototype", "representation.patches": 8}
BOTH = {"scoring.measure": ("support", "pseudo"), "pseudo.per_class": 8}
BY_SUPPORT = {"scoring.by": "support"}


@pytest.fixture
def images(tiny_category, tiny_textures, tiny_config, store) -> Callable[[Mapping[str, Any]], FoldImages]:
    def images(changes: Mapping[str, Any]) -> FoldImages:
        config = updated(tiny_config, changes)
        inputs, watch = FoldInputs(tiny_category, config, seed=1, textures=tiny_textures), Stopwatch()
        inputs.build_missing(store, watch)
        return FoldImages(inputs, store, watch)

    return images


# --- leave-one-out on the support


def test_each_image_is_left_out_once_with_the_others_to_learn_from():
    support = {"a": ("a1", "a2", "a3"), "b": ("b1", "b2", "b3")}
    assert list(leave_one_out(support)) == [
        ({"a": ("a1",), "b": ("b1",)}, {"a": ("a2", "a3"), "b": ("b2", "b3")}),
        ({"a": ("a2",), "b": ("b2",)}, {"a": ("a1", "a3"), "b": ("b1", "b3")}),
        ({"a": ("a3",), "b": ("b3",)}, {"a": ("a1", "a2"), "b": ("b1", "b2")}),
    ]


class Nearest:
    """Names numbers by the nearest mean of those it has seen."""

    rounds = epochs = ()

    def __init__(self, means: list[float] | None = None) -> None:
        self.means = means

    def trained_on(self, support):
        return Nearest([float(np.mean([float(path) for path in paths])) for paths in support.values()])

    def scores(self, paths):
        return -np.abs(np.array([[float(path)] for path in paths]) - self.means)


def test_a_score_by_hand():
    """Two classes of three numbers.

    Left out 0: others 1, 8 -> 4.5 and 10, 12 -> 11: 0 is near 4.5, right; 7: near 4.5, wrong.
    Left out 1: 0, 8 -> 4 and 7, 12 -> 9.5: 1 right; 10 right.
    Left out 8: 0, 1 -> 0.5 and 7, 10 -> 8.5: 8 wrong; 12 right.
    """
    support = {"low": ("0", "1", "8"), "high": ("7", "10", "12")}
    scores = leave_one_out_scores(Nearest(), support)
    np.testing.assert_allclose(scores["0"], [-4.5, -11])
    np.testing.assert_allclose(scores["7"], [-2.5, -4])
    named = {path: int(of_path.argmax()) for path, of_path in scores.items()}
    assert named == {"0": 0, "7": 0, "1": 0, "10": 1, "8": 1, "12": 1}
    assert support_accuracy(scores, support) == 4 / 6
    assert support_accuracy(scores, {"low": ("0",), "high": ("7", "10")}) == 2 / 3


def test_a_part_in_two_places_of_the_support_is_not_asked_about(tiny_category, run):
    """The first crack and the last dent show part 1: one is learnt from when the other is left out."""
    files = {"crack": ("000", "001"), "dent": ("001", "004"), "hole": ("000", "001")}
    support = {name: tuple(f"test/{name}/{n}.png" for n in numbers) for name, numbers in files.items()}
    clean = {"crack": support["crack"][1:], "dent": support["dent"][:1], "hole": support["hole"]}
    assert tiny_category.apart(support) == clean
    listed = [f"tiles/{path}" for paths in support.values() for path in paths]
    changes = {**PROTOTYPE, **BY_SUPPORT, "support.shots_from": "files", "support.files": listed}
    result = run(changes)
    assert result.images == tuple(path for paths in clean.values() for path in paths)
    assert run({**changes, "scoring.measure": ("support",)}).measured["support"] == result.accuracy
    together = {**support, "dent": ("test/dent/004.png", "test/dent/001.png")}
    assert tiny_category.apart(together) == together, "the two are left out at the same time"


@pytest.mark.parametrize(
    "changes",
    [
        {"shots": 3},
        {"shots": 2},
        {"shots": 3, "support.mean": "image"},
        {"shots": 3, "support.mean": "residual", "pretrain.enabled": False},
        {"shots": 3, "head.kind": "vanilla", "head.pool": "flatten"},
        {"shots": 3, **PROTOTYPE},
    ],
    ids=str,
)
def test_a_shared_pretraining_is_one_from_scratch_each_time(run, tiny_category, tiny_textures, tiny_config, changes):
    """The slow way: a fold per image left out, whose support is the others and whose queries hold that image."""
    alone = run({**changes, **BY_SUPPORT})
    measured = run({**changes, "scoring.measure": ("support",)}).measured
    assert measured == {"support": alone.accuracy}
    support = tiny_category.support(changes["shots"])
    ungrouped = replace(tiny_category, groups={})
    scores = np.empty((3, changes["shots"], 3))
    for k, (left_out, others) in enumerate(leave_one_out(support)):
        listed = [f"tiles/{path}" for paths in others.values() for path in paths]
        files = {"shots": changes["shots"] - 1, "support.shots_from": "files", "support.files": listed}
        result = run({**changes, **files}, category=ungrouped)
        for label, (path,) in enumerate(left_out.values()):
            scores[label, k] = result.scores[result.images.index(path)]
    np.testing.assert_allclose(np.array(alone.scores).reshape(scores.shape), scores, rtol=1e-5, atol=1e-5)
    assert alone.images == tuple(path for paths in support.values() for path in paths)


def test_a_head_that_sees_images_is_left_one_out_too(run):
    direct = {"head.kind": "direct", "features.backbone": "resnet18", "features.weights": "random"}
    direct |= {"head.epochs": 1, "scoring.measure": ("support",)}
    result = run(direct)
    assert result.measured["support"] == run({**direct, **BY_SUPPORT}).accuracy


def test_one_shot_leaves_nothing_to_learn_from(tiny_config):
    for scoring in ({"scoring.by": "support"}, {"scoring.measure": ("support",)}):
        with pytest.raises(BadInput, match=r"`shots` is 1.*raise the shots .* or choose another objective"):
            updated(tiny_config, {"shots": 1, **scoring})


def test_a_class_of_n_images_is_enough_where_no_query_is_needed(tmp_path, tiny_config, tiny_textures):
    folder = write_category(tmp_path, "few", good=4, classes={"blot": 3, "chip": 3})
    category, store = load_category(folder.parent, "few"), Store(tmp_path / "cache")
    config = updated(tiny_config, {**PROTOTYPE, "shots": 3})
    with pytest.raises(BadInput, match="3 shots and a query need 4 groups"):
        run_fold(category, config, seed=1, store=store)
    result = run_fold(category, updated(config, BY_SUPPORT), seed=1, store=store)
    assert (result.queries, result.scored_by) == (6, "support")
    assert result.images == tuple(path for paths in result.support.values() for path in paths)
    with pytest.raises(BadInput, match="4 shots need 4 groups"):
        run_fold(category, updated(config, {**BY_SUPPORT, "shots": 4}), seed=1, store=store)


# --- held-out pseudo-defects


def test_the_last_of_each_pseudo_class_are_held_out():
    labels = np.repeat([0, 1], 5)
    assert held_out(labels, Scoring(held_out=0.4)).tolist() == [False, False, False, True, True] * 2


def test_a_task_is_n_of_each_class_and_all_others():
    labels = np.repeat(np.arange(5), 6)
    rows = np.flatnonzero(np.arange(30) % 6 >= 2)  # four of each
    task = draw_task(labels, rows, n_classes=3, shots=3, generator=torch_generator("test"))
    assert task.support.shape == (3, 3)
    assert task.queries.shape == task.truth.shape == (3,)
    assert (labels[task.support] == labels[task.support[:, :1]]).all()
    assert (labels[task.queries] == labels[task.support[task.truth, 0]]).all()
    used = [*task.support.ravel(), *task.queries]
    assert len({*used}) == len(used) == 12
    assert set(used) <= set(rows)
    whole = draw_task(labels, rows, n_classes=9, shots=1, generator=torch_generator("test"))
    assert len(whole.support) == 5


def poisoned(store: Store, key: str, rows: np.ndarray) -> Store:
    """The store, but for some pictures' vectors in an artifact."""

    class Poisoned(Store):
        def get(self, artifact):
            arrays = super().get(artifact)
            if artifact.key == key:
                patches = np.array(arrays["patches"])
                patches[rows] = np.arange(patches.shape[-1])
                arrays = {**arrays, "patches": patches}
            return arrays

    return Poisoned(store.root)


@pytest.fixture
def none_kept(monkeypatch):
    """Every head is pretrained from scratch."""
    monkeypatch.setattr(pretraining, "_memo", PretrainingMemo(0))


@pytest.mark.usefixtures("none_kept")
@pytest.mark.parametrize("residual", ["source", "bank"])
def test_no_pretraining_sees_what_is_held_out(images, store, residual):
    """Other held-out pseudo-defects give the same weights; others among those kept do not."""
    fold = images({**BOTH, "pseudo.residual": residual})
    out = held_out(fold.pseudo_labels, fold.config.scoring)

    def weights(spoilt: np.ndarray | None) -> torch.Tensor:
        if spoilt is not None:
            fold.store = poisoned(store, fold.inputs.vectors(fold.inputs.pseudo_rows())[0].key, spoilt)
        head = pretrained_head(fold, rows=np.flatnonzero(~out)).head
        fold.store = store
        return torch.cat([values.detach().ravel() for values in head.state_dict().values()])

    clean = weights(None)
    assert torch.equal(weights(np.flatnonzero(out)), clean)
    assert not torch.equal(weights(np.flatnonzero(~out)), clean)


@pytest.mark.usefixtures("none_kept")
@pytest.mark.parametrize("changes", [PROTOTYPE, {}, {"support.mean": "image"}], ids=str)
def test_a_pseudo_score_is_the_mean_of_its_tasks(images, changes):
    """Task by task, a head pretrained from scratch each time."""
    fold = images({**BOTH, **changes})
    labels, maps = fold.pseudo_labels, fold.pseudo_as_queries()
    out = held_out(labels, fold.config.scoring)
    found = []
    for number in range(fold.config.scoring.tasks):
        generator = torch_generator(1, "pseudo task", 0, number)
        task = draw_task(labels, np.flatnonzero(out), n_classes=3, shots=2, generator=generator)
        head = pretrained_head(fold, rows=np.flatnonzero(~out))
        support = [maps.take(rows) for rows in task.support]
        means = None
        if changes.get("support.mean") == "image":
            means = [(one.values.mean(0), one.profiles.mean(0)) for one in support]
            means = type(support[0])(*(torch.stack(part) for part in zip(*means, strict=True)))
        trained = head.trained_on_represented(support, means)
        named = [int(trained.scores_of([maps.take([row])]).argmax()) for row in task.queries]
        found.append(np.mean(np.array(named) == task.truth))
    assert pseudo_accuracy(fold) == pytest.approx(np.mean(found))


def test_too_few_to_hold_out_are_refused_with_what_to_do(tiny_config):
    with pytest.raises(BadInput, match=r"holds out 2 and keeps 2; 2 shots need 3 held out.*pseudo\.per_class"):
        updated(tiny_config, {"scoring.measure": ("pseudo",)})
    with pytest.raises(BadInput, match=r"holds out 7 and keeps 1.*pretraining 2 kept"):
        updated(tiny_config, {**BOTH, "scoring.held_out": 0.9})
    direct = {"head.kind": "direct", "features.backbone": "resnet18", "features.weights": "random"}
    with pytest.raises(BadInput, match="sees no maps"):
        updated(tiny_config, {**BOTH, **direct})


def test_textures_are_needed_to_measure_a_head_that_never_pretrains(tiny_category, tiny_config, store):
    config = updated(tiny_config, {**PROTOTYPE, **BOTH})
    with pytest.raises(BadInput, match="objective pseudo needs pseudo-defects, and so textures: give --textures"):
        run_fold(tiny_category, config, seed=1, store=store)


# --- what is measured, and the fold


@pytest.mark.parametrize("changes", [PROTOTYPE, {}], ids=str)
def test_measuring_changes_the_key_and_no_answer(run, changes):
    plain = run({"pseudo.per_class": 8, **changes})
    found = {name: run({**changes, **BOTH, "scoring.measure": (name,)}) for name in ("support", "pseudo")}
    both = run({**changes, **BOTH})
    assert len({one.key for one in (plain, both, *found.values())}) == 4
    assert all(one.scores == plain.scores and one.learning == plain.learning for one in (both, *found.values()))
    assert plain.measured == {}
    assert both.measured == {name: one.measured[name] for name, one in found.items()}
    assert {*both.stages} - {*plain.stages} == {"leave one out", "pseudo tasks"}
    assert FoldResult.from_json(both.to_json()) == both


def test_measures_are_pure_functions_of_seed_and_draw(run, tmp_path, tiny_category, tiny_textures, tiny_config):
    config = updated(tiny_config, BOTH)
    once = run(BOTH, seed=2, draw=1)
    cold = run_fold(tiny_category, config, seed=2, draw=1, store=Store(tmp_path / "cold"), textures=tiny_textures)
    assert once.measured == cold.measured
    assert once.key == cold.key == FoldInputs(tiny_category, config, seed=2, draw=1, textures=tiny_textures).key
    several = [run({**PROTOTYPE, **BOTH, "shots": 2}, draw=draw).measured["pseudo"] for draw in range(4)]
    assert len({*several}) > 1, "draws have tasks of their own"


def test_all_that_measuring_reads_is_built_beforehand(tmp_path, tiny_category, tiny_textures, tiny_config):
    changes = {**PROTOTYPE, **BOTH, "shots": 3, "support.mean": "image"}
    config: FoldConfig = updated(tiny_config, changes)
    store = Store(tmp_path / "cache")
    for artifact in FoldInputs(tiny_category, config, seed=1, textures=tiny_textures).artifacts:
        store.get(artifact)
    built = len(store.builds())
    run_fold(tiny_category, config, seed=1, store=store, textures=tiny_textures)
    assert len(store.builds()) == built
