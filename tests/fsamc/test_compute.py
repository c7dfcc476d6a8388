from __future__ import annotations

import pytest
import torch

from fsamc import training
from fsamc.compute import without_denormals
from fsamc.config import Finetune
from tests.fsamc.test_training import assert_same_state, make_head, support_of

TINY = torch.full((8,), 1e-40)


def test_denormals_are_zero_inside_and_floats_again_outside():
    with without_denormals():
        assert not (TINY * 1).any()
        assert (torch.full((8,), 1e-37) * 1).all()
    assert (TINY * 1).all()
    with pytest.raises(RuntimeError), without_denormals():
        raise RuntimeError
    assert (TINY * 1).all()


def test_finetuning_is_bit_for_bit_what_it_is_with_denormals():
    with_them, without = make_head(), make_head()
    settings = Finetune(epochs={2: 150})  # 1200 steps: some 750 make the first denormals
    training.finetune.__wrapped__(with_them, support_of(2), settings)
    training.finetune(without, support_of(2), settings)
    assert_same_state(with_them, without)
