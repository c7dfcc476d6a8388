"""Pretraining is shared by folds that differ in draw and shots, and by no others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from fsamc.config.dotted import updated
from fsamc.fold import pretraining
from fsamc.fold.pretraining import Pretraining, PretrainingMemo
from fsamc.fold.run import run_fold
from fsamc.training import loop


@pytest.fixture
def counted(monkeypatch):
    """Rounds of each pretraining that was done, with nothing kept before."""
    done = []

    def pretrain(*args):
        done.append(loop_pretrain(*args))
        return done[-1]

    loop_pretrain = loop.pretrain
    monkeypatch.setattr(loop, "pretrain", pretrain)
    monkeypatch.setattr(pretraining, "_memo", PretrainingMemo(pretraining.MOST))
    return done


def result(fold):
    """All of a fold's result but the seconds."""
    return replace(fold, stages={})


@pytest.fixture
def pretrained(tiny_config):
    return updated(
        tiny_config,
        {
            "head.kind": "contrastive",
            "pretrain.enabled": True,
            "pretrain.max_rounds": 3,
            "pretrain.stop_threshold": 1.0,
        },
    )


def test_draws_and_shots_share_one_pretraining_and_have_the_results_of_folds_alone(
    counted, tiny_category, tiny_textures, pretrained, store, monkeypatch
):
    def fold(shots, draw):
        config = updated(pretrained, {"shots": shots})
        return result(run_fold(tiny_category, config, seed=1, draw=draw, store=store, textures=tiny_textures))

    of = [(1, 0), (2, 0), (1, 1), (2, 1)]
    together = [fold(*one) for one in of]
    assert len(counted) == 1
    assert all(one.learning == tuple(counted[0]) for one in together)
    for one, shared in zip(of, together, strict=True):
        monkeypatch.setattr(pretraining, "_memo", PretrainingMemo(pretraining.MOST))
        assert fold(*one) == shared
    assert len(counted) == 5


@pytest.mark.parametrize(
    ("changes", "seed"),
    [
        ({}, 2),
        ({"pretrain.lr": 0.01}, 1),
        ({"head.temperature": 0.5}, 1),
        ({"representation.parts": ["residual"]}, 1),
        ({"representation.extent": 0.7}, 1),
        ({"representation.patches": 3}, 1),
        ({"reference.ratio": 0.5}, 1),
        ({"pseudo.beta": [0.5, 0.9]}, 1),
    ],
)
def test_what_a_pretraining_depends_on_makes_another(
    counted, tiny_category, tiny_textures, pretrained, store, changes, seed
):
    run_fold(tiny_category, pretrained, seed=1, store=store, textures=tiny_textures)
    run_fold(tiny_category, updated(pretrained, changes), seed=seed, store=store, textures=tiny_textures)
    assert len(counted) == 2


def test_the_memo_forgets_what_was_not_asked_for_longest():
    def head():
        made.append(Pretraining(nn.Linear(4, 1, bias=False), ()))  # 16 bytes
        return made[-1]

    made, memo = [], PretrainingMemo(32)
    first = memo.get("first", head)
    memo.get("second", head)
    assert memo.get("first", head) is first
    memo.get("third", head)  # the second goes
    assert memo.get("first", head) is first
    assert len(made) == 3
    memo.get("second", head)
    assert len(made) == 4
